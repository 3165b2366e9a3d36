import type { BatchRecord } from "./controller.ts";

/** Quantile of the standard normal distribution at 99 %. */
const z99 = 2.326;
const leastDurationMs = 0.001;
const leastSpread = 0.05;

/** Running sums over the calls of one setting. */
export class CallStats {
  #calls = 0;
  #succeeded = 0;
  #succeededSquared = 0;
  #charged = 0;
  #chargedSquared = 0;
  #product = 0;
  #logs = 0;
  #logsSquared = 0;
  #late = 0;

  get calls(): number {
    return this.#calls;
  }

  get late(): number {
    return this.#late;
  }

  /** `chargedMs`: the call's share of the busy time. */
  add({ durationMs, succeeded }: BatchRecord, chargedMs: number, objectiveMs: number): void {
    const charged = Math.max(chargedMs, leastDurationMs);
    const log = Math.log(Math.max(durationMs, leastDurationMs));
    this.#calls += 1;
    this.#succeeded += succeeded;
    this.#succeededSquared += succeeded ** 2;
    this.#charged += charged;
    this.#chargedSquared += charged ** 2;
    this.#product += charged * succeeded;
    this.#logs += log;
    this.#logsSquared += log ** 2;
    if (durationMs > objectiveMs) this.#late += 1;
  }

  merge(other: CallStats): void {
    this.#calls += other.#calls;
    this.#succeeded += other.#succeeded;
    this.#succeededSquared += other.#succeededSquared;
    this.#charged += other.#charged;
    this.#chargedSquared += other.#chargedSquared;
    this.#product += other.#product;
    this.#logs += other.#logs;
    this.#logsSquared += other.#logsSquared;
    this.#late += other.#late;
  }

  /** Successful items per millisecond of busy time. */
  get goodput(): number {
    return this.#succeeded / Math.max(this.#charged, leastDurationMs);
  }

  /** Geometric mean of the durations. */
  get typicalMs(): number {
    return Math.exp(this.#logs / this.#calls);
  }

  /** Squared relative standard error of `goodput`, as of a ratio of two means. */
  get relativeVariance(): number {
    const ratio = this.#charged / Math.max(this.#succeeded, 1);
    const squares =
      this.#chargedSquared - 2 * ratio * this.#product + ratio ** 2 * this.#succeededSquared;
    const spread = (squares * this.#calls) / this.#charged ** 2;
    return Math.max(spread, leastSpread ** 2) / this.#calls;
  }

  /** The logarithm of the 99th percentile of the durations, if their logarithms are normal. */
  get logP99(): number {
    return this.#logs / this.#calls + z99 * this.#logSpread;
  }

  /** Standard error of `logP99`. */
  get logP99Error(): number {
    return this.#logSpread * Math.sqrt((1 + z99 ** 2 / 2) / this.#calls);
  }

  get #logSpread(): number {
    const mean = this.#logs / this.#calls;
    return Math.sqrt(Math.max(this.#logsSquared / this.#calls - mean ** 2, leastSpread ** 2));
  }
}
