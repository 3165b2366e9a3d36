const PER_OCTAVE = 8;
const SMALLEST_MS = 0.05;
const BUCKETS = PER_OCTAVE * 24;
/** A quantile of fewer values says nothing. */
const MIN_VALUES = 20;
/** A quantile is asked for by every request, and changes slowly. */
const CACHED_MS = 100;

/**
 * Quantiles of the last one to two windows, to within 9 % upwards, in constant memory: a histogram with
 * eight buckets an octave (the idea of HdrHistogram), of which the older half is dropped at a time.
 */
export class RecentQuantiles {
  readonly #windowMs: number;
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #currentSince = -Infinity;
  #cached = new Map<number, number | undefined>();
  #cachedAt = -Infinity;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add(valueMs: number, nowMs: number): void {
    this.#rotate(nowMs);
    const octaves = Math.log2(Math.max(SMALLEST_MS, valueMs) / SMALLEST_MS);
    const index = Math.min(BUCKETS - 1, Math.floor(octaves * PER_OCTAVE));
    this.#current[index] = (this.#current[index] ?? 0) + 1;
  }

  /** Milliseconds that the part `quantile` of the values does not exceed; undefined with too few values. */
  get(quantile: number, nowMs: number): number | undefined {
    if (nowMs - this.#cachedAt >= CACHED_MS) {
      this.#cachedAt = nowMs;
      this.#cached.clear();
    }
    if (!this.#cached.has(quantile)) this.#cached.set(quantile, this.#find(quantile, nowMs));
    return this.#cached.get(quantile);
  }

  #find(quantile: number, nowMs: number): number | undefined {
    this.#rotate(nowMs);
    const counts = this.#current.map((count, index) => count + (this.#previous[index] ?? 0));
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total < MIN_VALUES) return undefined;
    let left = Math.ceil(total * quantile);
    const index = counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return SMALLEST_MS * 2 ** ((index + 1) / PER_OCTAVE);
  }

  #rotate(nowMs: number): void {
    const ageMs = nowMs - this.#currentSince;
    if (ageMs < this.#windowMs) return;
    this.#previous = ageMs < 2 * this.#windowMs ? this.#current : new Uint32Array(BUCKETS);
    this.#current = new Uint32Array(BUCKETS);
    this.#currentSince = nowMs;
  }
}
