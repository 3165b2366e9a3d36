/** Numbers that are the same for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 to below 1: an integer hash of a Weyl sequence. */
  uniform(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Between two values of the same sign, even on a logarithmic scale. */
  scale(low: number, high: number): number {
    return low * (high / low) ** this.uniform();
  }

  sign(): number {
    return this.uniform() < 0.5 ? -1 : 1;
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }

  normal(sigma: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return sigma * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  poisson(mean: number): number {
    if (mean > 40) return Math.max(0, Math.round(mean + this.normal(Math.sqrt(mean))));
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.uniform(); product > limit; product *= this.uniform()) count += 1;
    return count;
  }
}
