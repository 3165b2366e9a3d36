import type { Timers } from "./timers.ts";

/** Waits that can all be cut short. They hold accepted work, so they keep the process alive. */
export class Sleeper {
  readonly #timers: Timers;
  readonly #sleeping = new Map<() => void, unknown>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleeping.delete(wake);
        resolve();
      };
      this.#sleeping.set(wake, this.#timers.set(wake, delayMs, true));
    });
  }

  wakeAll(): void {
    for (const [wake, timer] of this.#sleeping) {
      this.#timers.clear(timer);
      wake();
    }
  }
}
