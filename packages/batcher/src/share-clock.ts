const mostPoints = 4_096;

/**
 * Divides the time in which anything runs evenly among the calls under way. What a call is charged, added up over all calls, is the
 * busy time; so items per charged time is the goodput, whether or not all slots are taken.
 */
export class ShareClock {
  #running = 0;
  #atMs = 0;
  #charged = 0;
  readonly #times: number[] = [];
  readonly #charges: number[] = [];

  get running(): number {
    return this.#running;
  }

  /** How much of the past is kept. */
  get points(): number {
    return this.#times.length + this.#charges.length;
  }

  start(atMs: number): void {
    this.#advance(atMs);
    this.#running += 1;
  }

  /** A slot is free again. */
  end(atMs: number): void {
    this.#advance(atMs);
    this.#running = Math.max(this.#running - 1, 0);
  }

  /** The share of a call from `fromMs` to `toMs`, which is now. */
  charge(fromMs: number, toMs: number): number {
    this.#advance(toMs);
    return this.#charged - this.#chargedAt(fromMs);
  }

  #advance(atMs: number): void {
    const now = Math.max(atMs, this.#atMs);
    if (this.#running === 0) {
      this.#times.length = 0;
      this.#charges.length = 0;
    } else this.#charged += (now - this.#atMs) / this.#running;
    this.#atMs = now;
    if (this.#times.at(-1) === now) return;
    this.#times.push(now);
    this.#charges.push(this.#charged);
    if (this.#times.length <= mostPoints) return;
    this.#times.splice(0, mostPoints / 2);
    this.#charges.splice(0, mostPoints / 2);
  }

  #chargedAt(ms: number): number {
    const after = firstAtLeast(this.#times, ms);
    const charge = this.#charges[after] ?? this.#charged;
    const before = this.#charges[after - 1];
    if (before === undefined) return charge;
    const [from, until] = [this.#times[after - 1] ?? ms, this.#times[after] ?? this.#atMs];
    return until > from ? before + ((charge - before) * (ms - from)) / (until - from) : charge;
  }
}

function firstAtLeast(sorted: readonly number[], wanted: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? Infinity) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
