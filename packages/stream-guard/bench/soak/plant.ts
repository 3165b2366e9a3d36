interface Leaked {
  readonly next: Leaked | undefined;
}

/** Three words of header and one for `next`. */
const NODE_BYTES = 32;

/** A leak to be found: keeps `bytes` for ever each time it is called. */
export class Plant {
  readonly #nodes: number;
  #last: Leaked | undefined;

  /** @throws RangeError when `bytes` is not a multiple of 32 */
  constructor(bytes: number) {
    this.#nodes = bytes / NODE_BYTES;
    if (!Number.isSafeInteger(this.#nodes) || bytes < 0)
      throw new RangeError(`plant: expected a multiple of ${NODE_BYTES} bytes, received ${bytes}`);
  }

  readonly leak = (): void => {
    for (let count = 0; count < this.#nodes; count += 1) this.#last = { next: this.#last };
  };
}
