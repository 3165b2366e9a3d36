/** At most so many wait for a slot, over all requests. */
export const mostWaiting = 1_000;

/** What may be under way at once, over all requests. First come, first served. */
export class CallSlots {
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(slots: number) {
    this.#free = slots;
  }

  get crowded(): boolean {
    return this.#free === 0 && this.#waiting.size >= mostWaiting;
  }

  /** Calls `begin` when there is a slot, perhaps at once. What is returned takes it out of the line. */
  request(begin: () => void): () => void {
    if (this.#free > 0) {
      this.#free -= 1;
      begin();
    } else this.#waiting.add(begin);
    return () => void this.#waiting.delete(begin);
  }

  /** To be called once for each `begin`. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
