/** Fingerprints of the keys evicted last, oldest out first. A collision only misplaces an entry. */
export class Ghosts {
  readonly #prints = new Set<number>();
  #oldest = this.#prints.values();

  get size(): number {
    return this.#prints.size;
  }

  has(print: number): boolean {
    return this.#prints.has(print);
  }

  add(print: number): void {
    this.#prints.add(print);
  }

  delete(print: number): void {
    this.#prints.delete(print);
  }

  deleteOldest(): void {
    let next = this.#oldest.next();
    if (next.done) {
      this.#oldest = this.#prints.values();
      next = this.#oldest.next();
    }
    if (!next.done) this.#prints.delete(next.value);
  }
}
