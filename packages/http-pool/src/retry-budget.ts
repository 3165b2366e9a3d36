const SLOTS = 10;
/** Ten times a tenth is a little less than one. */
const ROUNDING = 1e-6;

export interface RetryBudgetOptions {
  /** Part of the requests that may be sent again, 0 to 1. */
  readonly ratio: number;
  /** Allowed besides, so that a client with few requests can retry too. */
  readonly minPerSecond: number;
  readonly now: () => number;
  /** How long a request counts. */
  readonly windowMs?: number;
}

/**
 * The retry budget of Finagle (`RetryBudget(ttl, minRetriesPerSec, percentCanRetry)`): within a sliding window
 * no more retries than a share of the requests and a minimum a second.
 */
export class RetryBudget {
  readonly #ratio: number;
  readonly #reserve: number;
  readonly #slotMs: number;
  readonly #now: () => number;
  readonly #requests: number[] = Array.from({ length: SLOTS }, () => 0);
  readonly #retries: number[] = Array.from({ length: SLOTS }, () => 0);
  #slot = 0;
  #slotSince: number;
  #balance = 0;

  constructor({ ratio, minPerSecond, now, windowMs = 10_000 }: RetryBudgetOptions) {
    this.#ratio = ratio;
    this.#reserve = (minPerSecond * windowMs) / 1000;
    this.#slotMs = windowMs / SLOTS;
    this.#now = now;
    this.#slotSince = now();
  }

  /** Retries that could be made now. */
  get balance(): number {
    this.#expire();
    return Math.max(0, this.#balance + this.#reserve);
  }

  /** A request came. */
  deposit(): void {
    this.#expire();
    this.#requests[this.#slot] = (this.#requests[this.#slot] ?? 0) + 1;
    this.#balance += this.#ratio;
  }

  /** Takes one retry; false when there is none left. */
  withdraw(): boolean {
    if (this.balance < 1 - ROUNDING) return false;
    this.#retries[this.#slot] = (this.#retries[this.#slot] ?? 0) + 1;
    this.#balance -= 1;
    return true;
  }

  #expire(): void {
    const passed = Math.floor((this.#now() - this.#slotSince) / this.#slotMs);
    if (passed <= 0) return;
    this.#slotSince += passed * this.#slotMs;
    for (let left = Math.min(passed, SLOTS); left > 0; left -= 1) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#requests[this.#slot] = 0;
      this.#retries[this.#slot] = 0;
    }
    this.#balance = sum(this.#requests) * this.#ratio - sum(this.#retries);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
