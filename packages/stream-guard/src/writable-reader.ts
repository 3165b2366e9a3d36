import type { Writable } from "node:stream";
import type { Reader } from "./reader.ts";
import { takenBytes } from "./taken-bytes.ts";

/** The reader of a writable that others write to. Where the system does not say what it took, `observe` sees it. */
export class WritableReader implements Reader {
  readonly #writable: Writable;
  #lengthBytes = 0;
  #takenBytes = 0;

  constructor(writable: Writable) {
    this.#writable = writable;
  }

  heldBytes(): number {
    return this.#writable.destroyed ? 0 : this.#writable.writableLength;
  }

  taken(): number {
    this.observe();
    return takenBytes(this.#writable) ?? this.#takenBytes;
  }

  /** To be called before and after each write: in between, the buffer only shrinks, and only for the reader. */
  observe(): void {
    const { writableLength } = this.#writable;
    this.#takenBytes += Math.max(0, this.#lengthBytes - writableLength);
    this.#lengthBytes = writableLength;
  }
}
