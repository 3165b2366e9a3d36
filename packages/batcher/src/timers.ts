/** The seam through which this package waits. `keepAlive: false` must not keep the process running. */
export interface Timers {
  set(callback: () => void, delayMs: number, keepAlive: boolean): unknown;
  clear(handle: unknown): void;
}

/** The longest delay a Node.js timer can wait; a longer one would fire at once. */
export const maxDelayMs = 2_147_483_647;

export const systemTimers: Timers = {
  set(callback, delayMs, keepAlive) {
    const timer = setTimeout(callback, delayMs);
    return keepAlive ? timer : timer.unref();
  },
  clear(handle) {
    clearTimeout(handle as NodeJS.Timeout);
  },
};
