const firstProbeMs = 30_000;
const longestProbeMs = 600_000;
const forgottenAbove = 1_000_000;

/**
 * Half of the last size that was refused as too large. Doubled again after 30 s; the pause before the next doubling grows
 * twofold, up to 10 minutes, each time a doubled size is refused.
 */
export class SizeCeiling {
  #size = Infinity;
  #probing = false;
  #probeMs = firstProbeMs;
  #probeAt = 0;

  /** The largest size that may be tried now. */
  at(now: number): number {
    if (this.#size === Infinity || now < this.#probeAt) return this.#size;
    this.#size = this.#size * 2 > forgottenAbove ? Infinity : this.#size * 2;
    this.#probing = true;
    this.#probeAt = now + this.#probeMs;
    return this.#size;
  }

  refuse(size: number, now: number): void {
    if (this.#probing) this.#probeMs = Math.min(this.#probeMs * 2, longestProbeMs);
    this.#probing = false;
    this.#probeAt = now + this.#probeMs;
    this.#size = Math.max(1, Math.min(this.#size, Math.floor(size / 2)));
  }
}
