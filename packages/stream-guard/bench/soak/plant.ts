interface Leaked {
  readonly next: Leaked | undefined;
}

/** Three words of header and one for `next`. */
const NODE_BYTES = 32;

/** A leak to be found: keeps `bytes` for ever each time it is called, or what that comes to every `every` calls. */
export class Plant {
  readonly #nodes: number;
  readonly #every: number;
  #calls = 0;
  #last: Leaked | undefined;

  /** @throws RangeError when `bytes` is not a multiple of 32, or `every` not at least 1 */
  constructor(bytes: number, every = 1) {
    this.#nodes = (bytes / NODE_BYTES) * every;
    this.#every = every;
    if (!Number.isSafeInteger(bytes / NODE_BYTES) || bytes < 0)
      throw new RangeError(`plant: expected a multiple of ${NODE_BYTES} bytes, received ${bytes}`);
    if (!Number.isSafeInteger(every) || every < 1)
      throw new RangeError(`plant-every: expected at least 1 session, received ${every}`);
  }

  readonly leak = (): void => {
    this.#calls += 1;
    if (this.#calls % this.#every > 0) return;
    for (let count = 0; count < this.#nodes; count += 1) this.#last = { next: this.#last };
  };
}
