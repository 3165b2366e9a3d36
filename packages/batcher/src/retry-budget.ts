/**
 * Bounds retries to a share of the calls: every first call deposits `ratio` of a token, every retry takes one.
 * The idea is Finagle's RetryBudget; a small reserve lets a quiet batcher retry at all.
 */
export class RetryBudget {
  static readonly reserve = 10;
  #ratio: number;
  #tokens: number = RetryBudget.reserve;

  constructor(ratio: number) {
    this.#ratio = ratio;
  }

  get tokens(): number {
    return this.#tokens;
  }

  set ratio(ratio: number) {
    this.#ratio = ratio;
  }

  deposit(): void {
    this.#tokens = Math.min(this.#tokens + this.#ratio, RetryBudget.reserve);
  }

  take(): boolean {
    if (this.#ratio === 0 || this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
