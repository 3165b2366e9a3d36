import type { Timers } from "../src/index.ts";

export interface Clock {
  nowMs: number;
  readonly now: () => number;
}

export function manualClock(startMs = 1_000): Clock {
  const clock = { nowMs: startMs, now: () => clock.nowMs };
  return clock;
}

/** Timers that fire only when the test says so. */
export class ManualTimers implements Timers {
  readonly #pending = new Map<
    number,
    { readonly callback: () => void; readonly delayMs: number }
  >();
  #next = 0;

  get delaysMs(): readonly number[] {
    return [...this.#pending.values()].map(({ delayMs }) => delayMs);
  }

  set(callback: () => void, delayMs: number): unknown {
    this.#pending.set(++this.#next, { callback, delayMs });
    return this.#next;
  }

  clear(timer: unknown): void {
    this.#pending.delete(timer as number);
  }

  /** Fires all, or those set for `delayMs`. */
  fire(delayMs?: number): void {
    for (const [id, timer] of this.#pending) {
      if (delayMs !== undefined && timer.delayMs !== delayMs) continue;
      this.#pending.delete(id);
      timer.callback();
    }
  }
}

/** Lets every promise that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export function deferred<T>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}

export function gate<T>(): { readonly compute: () => Promise<T>; open(value: T): void } {
  const { promise, resolve } = deferred<T>();
  return { compute: () => promise, open: resolve };
}
