import type { Timers } from "./timers.ts";

interface Hold {
  readonly untilMs: number;
  readonly timer: unknown;
}

/** Who is to be left alone for a while. Holds nobody who is not. */
export class Holds<P> {
  readonly #timers: Timers;
  readonly #onEnd: () => void;
  readonly #held = new Map<P, Hold>();

  constructor(timers: Timers, onEnd: () => void) {
    this.#timers = timers;
    this.#onEnd = onEnd;
  }

  readonly has = (party: P): boolean => this.#held.size > 0 && this.#held.has(party);

  /** The later of two ends counts. The timer keeps the process alive: work waits for it. */
  hold(party: P, nowMs: number, delayMs: number): void {
    const held = this.#held.get(party);
    const untilMs = nowMs + delayMs;
    if (held !== undefined && held.untilMs >= untilMs) return;
    if (held !== undefined) this.#timers.clear(held.timer);
    const end = (): void => {
      this.#held.delete(party);
      this.#onEnd();
    };
    this.#held.set(party, { untilMs, timer: this.#timers.set(end, delayMs, true) });
  }

  clear(): void {
    for (const { timer } of this.#held.values()) this.#timers.clear(timer);
    this.#held.clear();
  }
}
