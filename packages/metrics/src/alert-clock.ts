export interface Tick {
  /** Later than that of every tick before. */
  readonly timeMs: number;
  /** How much of the time since the last tick nothing was seen of, beyond a usual interval. */
  readonly unseenMs: number;
}

/** Longer gaps than this many intervals were not watched: the process was suspended, or the clock was set. */
const LATE_INTERVALS = 4;

/** Time for the evaluator, from a clock that may be set in either direction. */
export class SteadyClock {
  readonly #now: () => number;
  readonly #intervalMs: number;
  #lastMs: number | undefined;
  #timeMs = 0;

  constructor(now: () => number, intervalMs: number) {
    this.#now = now;
    this.#intervalMs = intervalMs;
  }

  /** A clock that went back, or stood, has moved on by an interval as far as anybody knows. */
  tick(): Tick {
    const now = this.#now();
    const passed = this.#lastMs === undefined ? this.#intervalMs : now - this.#lastMs;
    this.#lastMs = now;
    const stepMs = passed > 0 && passed < Infinity ? passed : this.#intervalMs;
    this.#timeMs += stepMs;
    const isLate = stepMs > LATE_INTERVALS * this.#intervalMs;
    return { timeMs: this.#timeMs, unseenMs: isLate ? stepMs - this.#intervalMs : 0 };
  }
}
