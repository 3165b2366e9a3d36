/** Runs `callback` once after `delayMs` milliseconds; the returned function cancels it. */
export type Schedule = (callback: () => void, delayMs: number) => () => void;

/** `setTimeout` that does not keep the process alive. */
export const unrefSchedule: Schedule = (callback, delayMs) => {
  const timer = setTimeout(callback, delayMs);
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
};

/** Settles as `promise` does, or rejects with what `onTimeout` makes after `timeoutMs`. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  schedule: Schedule,
  onTimeout: () => Error,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = schedule(() => {
    reject(onTimeout());
  }, timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
