const firstProbeMs = 30_000;
const longestProbeMs = 600_000;
const forgottenAbove = 1_000_000;
const timeoutsOfProvenSize = 3;

/**
 * What is known about sizes that fail. After a refusal the ceiling is half of that size, or the largest size that passed if that
 * is more. Doubled again after 30 s; the pause before the next doubling grows twofold, up to 10 minutes, each time a doubled
 * size is refused.
 */
export class SizeCeiling {
  #size = Infinity;
  #refused = Infinity;
  #passed = 0;
  #timeouts = 0;
  #probing = false;
  #probeMs = firstProbeMs;
  #probeAt = 0;

  /** The smallest size known to be refused: to try one between the ceiling and it is a risk worth taking deliberately. */
  get refused(): number {
    return this.#refused;
  }

  /** The largest size that may be tried now. */
  at(now: number): number {
    if (this.#size === Infinity || now < this.#probeAt) return this.#size;
    this.#size = this.#size * 2 > forgottenAbove ? Infinity : this.#size * 2;
    if (this.#size >= this.#refused) this.#refused = Infinity;
    this.#probing = true;
    this.#probeAt = now + this.#probeMs;
    return this.#size;
  }

  pass(size: number): void {
    this.#timeouts = 0;
    if (size <= this.#passed) return;
    this.#passed = size;
    this.#size = Math.max(this.#size, size);
    if (size >= this.#refused) this.#refused = Infinity;
  }

  /** `limit`: what the server says it takes. */
  refuse(size: number, now: number, limit?: number): void {
    if (this.#probing) this.#probeMs = Math.min(this.#probeMs * 2, longestProbeMs);
    this.#probing = false;
    this.#probeAt = now + this.#probeMs;
    if (this.#passed >= size) this.#passed = Math.floor(size / 2);
    this.#refused = limit === undefined ? size : limit + 1;
    this.#size = Math.max(
      1,
      Math.min(this.#size, limit ?? Math.max(Math.floor(size / 2), this.#passed)),
    );
  }

  /** A time-out counts as a refusal of a size that never passed; of one that did, only when it is not the first in a row. */
  timeout(size: number, now: number): void {
    this.#timeouts += 1;
    if (this.#passed === 0 || size <= 1) return;
    if (size > this.#passed || this.#timeouts >= timeoutsOfProvenSize) {
      this.#timeouts = 0;
      this.refuse(size, now);
    }
  }
}
