const windowsInAdvance = 2;

/** Bounds what trying worse settings may cost: a share of the time, and two windows in advance. */
export class LossBudget {
  #lostMs = 0;
  #startedAt: number | undefined = undefined;

  /** Books `durationMs` spent at `ratio` of the incumbent's score. */
  book(durationMs: number, ratio: number): void {
    this.#lostMs += durationMs * Math.min(Math.max(1 - ratio, 0), 1);
  }

  allows(nowMs: number, windowMs: number, share: number): boolean {
    this.#startedAt ??= nowMs;
    return this.#lostMs <= (nowMs - this.#startedAt) * share + windowsInAdvance * windowMs;
  }
}
