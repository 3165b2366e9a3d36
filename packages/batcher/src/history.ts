/** The last `limit` entries, oldest first. */
export class History<E> {
  readonly #limit: number;
  readonly #entries: E[] = [];
  #oldest = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(entry: E): void {
    if (this.#entries.length < this.#limit) {
      this.#entries.push(entry);
      return;
    }
    this.#entries[this.#oldest] = entry;
    this.#oldest = (this.#oldest + 1) % this.#limit;
  }

  toArray(): E[] {
    return [...this.#entries.slice(this.#oldest), ...this.#entries.slice(0, this.#oldest)];
  }
}
