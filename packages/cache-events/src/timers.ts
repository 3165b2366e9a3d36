/** The seam for timers: tests fire them by hand. */
export interface Timers {
  set(callback: () => void, delayMs: number): unknown;
  clear(timer: unknown): void;
}

export const systemTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

/** Longest delay a Node timer keeps. */
export const maxDelayMs: number = 2 ** 31 - 1;

/** Rejects with `timeout()` when `promise` has not settled after `delayMs`. */
export async function within<T>(
  promise: Promise<T>,
  timers: Timers,
  delayMs: number,
  timeout: () => Error,
): Promise<T> {
  const expiry = Promise.withResolvers<never>();
  const timer = timers.set(() => expiry.reject(timeout()), delayMs);
  try {
    return await Promise.race([promise, expiry.promise]);
  } finally {
    timers.clear(timer);
  }
}
