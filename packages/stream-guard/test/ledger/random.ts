/** xorshift32 (Marsaglia, "Xorshift RNGs", 2003): the same numbers for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that follow each other must not begin alike.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0 || 1;
    for (let count = 0; count < 8; count += 1) this.next();
  }

  /** From 0 to below 1. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state / 2 ** 32;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  chance(ratio: number): boolean {
    return this.next() < ratio;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
