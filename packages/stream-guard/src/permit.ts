/** A share of a pool. Give it back with `release` or `using`; a second time does nothing. */
export class Permit implements Disposable {
  readonly weight: number;
  /** As told by the pool's clock. */
  readonly acquiredAt: number;
  #onRelease: ((permit: Permit) => void) | undefined;

  constructor(weight: number, acquiredAt: number, onRelease: (permit: Permit) => void) {
    this.weight = weight;
    this.acquiredAt = acquiredAt;
    this.#onRelease = onRelease;
  }

  get released(): boolean {
    return this.#onRelease === undefined;
  }

  release(): void {
    const onRelease = this.#onRelease;
    this.#onRelease = undefined;
    onRelease?.(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
