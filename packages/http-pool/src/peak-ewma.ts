/** A cost that is never quite nothing, so that requests under way still count. */
const FLOOR_MS = 0.01;

/**
 * The peak-sensitive moving average of Finagle's `p2c.PeakEwma`: a latency above the average replaces it at
 * once, one below pulls it down with `exp(-elapsed / decay)`, and it decays towards nothing while nobody asks.
 */
export class PeakEwma {
  readonly #decayMs: number;
  #costMs = 0;
  #stampMs = 0;
  #known = false;

  constructor(decayMs: number) {
    this.#decayMs = decayMs;
  }

  /** Whether anything was observed since it was made. */
  get known(): boolean {
    return this.#known;
  }

  value(nowMs: number): number {
    return Math.max(FLOOR_MS, this.#costMs * this.#left(nowMs));
  }

  observe(latencyMs: number, nowMs: number): void {
    const left = this.#left(nowMs);
    const decayed = this.#costMs * left;
    const average = decayed + latencyMs * (1 - left);
    this.reset(Math.max(latencyMs, average), nowMs);
  }

  /** Forgets what was; the average starts again here. */
  reset(costMs: number, nowMs: number): void {
    this.#costMs = costMs;
    this.#stampMs = nowMs;
    this.#known = true;
  }

  #left(nowMs: number): number {
    return Math.exp(-Math.max(0, nowMs - this.#stampMs) / this.#decayMs);
  }
}
