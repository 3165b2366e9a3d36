/** Bounds what trying worse settings may cost: a share of the time, and some calls in advance. */
export class LossBudget {
  readonly #callsInAdvance: number;
  #lostMs = 0;
  #startedAt: number | undefined = undefined;

  constructor(callsInAdvance: number) {
    this.#callsInAdvance = callsInAdvance;
  }

  /** Books `durationMs` spent at `ratio` of the incumbent's score. */
  book(durationMs: number, ratio: number): void {
    this.#lostMs += durationMs * Math.min(Math.max(1 - ratio, 0), 1);
  }

  allows(nowMs: number, callMs: number, share: number): boolean {
    this.#startedAt ??= nowMs;
    const advance = this.#callsInAdvance * callMs;
    return this.#lostMs <= (nowMs - this.#startedAt) * share + advance;
  }

  /** Begins a new account; what was lost before is forgiven. */
  reset(nowMs: number): void {
    this.#lostMs = 0;
    this.#startedAt = nowMs;
  }
}
