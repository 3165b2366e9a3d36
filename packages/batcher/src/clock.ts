/** A clock that never goes back, whatever the one given does: a step back or a reading that is no number lasts no time. */
export function monotonic(now: () => number): () => number {
  let last: number | undefined;
  let skippedMs = 0;
  return () => {
    const reading = now();
    last ??= Number.isFinite(reading) ? reading : 0;
    if (!Number.isFinite(reading)) return last;
    if (reading + skippedMs < last) skippedMs = last - reading;
    last = reading + skippedMs;
    return last;
  };
}
