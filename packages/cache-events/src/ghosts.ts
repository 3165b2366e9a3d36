/** Fingerprints of the keys evicted last, oldest out first. A collision only misplaces an entry. */
export class Ghosts {
  readonly #prints = new Set<number>();
  #oldest = this.#prints.values();

  get size(): number {
    return this.#prints.size;
  }

  add(print: number): void {
    this.#prints.delete(print);
    this.#prints.add(print);
  }

  /** Whether the key was there; it is not afterwards. */
  take(print: number): boolean {
    return this.#prints.delete(print);
  }

  trim(limit: number): void {
    while (this.#prints.size > limit) {
      const next = this.#oldest.next();
      if (next.done) this.#oldest = this.#prints.values();
      else this.#prints.delete(next.value);
    }
  }
}
