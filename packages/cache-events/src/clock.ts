/** Milliseconds since the Unix epoch; monotonic, so a change of the system's clock does not move expiries. */
export function systemClock(): number {
  return performance.timeOrigin + performance.now();
}

/** `systemClock` read at most once a millisecond of event loop: a read of it would cost more than the rest of a hit. */
export function coarseClock(): () => number {
  let cached = 0;
  const forget = (): void => {
    cached = 0;
  };
  return () => {
    if (cached === 0) {
      cached = systemClock();
      setTimeout(forget, 1).unref();
    }
    return cached;
  };
}
