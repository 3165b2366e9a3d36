/** Bytes taken against a limit. The caller checks `fits` before `take`, and `give`s back only what it took. */
export class Ledger {
  readonly limitBytes: number;
  #usedBytes = 0;
  #peakBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get peakBytes(): number {
    return this.#peakBytes;
  }

  fits(bytes: number): boolean {
    return bytes <= this.limitBytes - this.#usedBytes;
  }

  take(bytes: number): void {
    this.#usedBytes += bytes;
    if (this.#usedBytes > this.#peakBytes) this.#peakBytes = this.#usedBytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
