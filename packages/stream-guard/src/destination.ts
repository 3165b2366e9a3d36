import type { Writable } from "node:stream";
import type { Chunk } from "./chunk-size.ts";
import type { ReaderWait } from "./reader.ts";
import { takenBytes, waitOf } from "./taken-bytes.ts";

export interface DestinationEvents {
  /** There may be room again, or the end was handed on. */
  readonly onProgress: () => void;
  readonly onError: (cause: unknown) => void;
  readonly onClose: () => void;
}

/** Where a sink writes to: a Node or a web stream. */
export interface Destination {
  /** Closed, or ending already. */
  readonly gone: boolean;
  readonly needsDrain: boolean;
  readonly finished: boolean;
  readonly bufferedBytes: number;
  /** Bytes that the system has taken, as far as that can be known. */
  readonly takenBytes: number;
  readonly wait: ReaderWait;
  /** `handedOn` is called once, when the chunk is no longer held. */
  write(chunk: Chunk, handedOn: () => void): void;
  end(): void;
  /** Gives up what is still buffered. */
  destroy(reason: unknown): void;
  listen(events: DestinationEvents): void;
  /** After `destroy` it still takes notice of errors, so that they have a listener. */
  unlisten(): void;
}

export class NodeDestination implements Destination {
  readonly #writable: Writable;
  #events: DestinationEvents | undefined;
  #destroyed = false;

  constructor(writable: Writable) {
    this.#writable = writable;
  }

  get gone(): boolean {
    return this.#writable.destroyed || this.#writable.writableEnded;
  }

  get needsDrain(): boolean {
    return this.#writable.writableNeedDrain;
  }

  get finished(): boolean {
    return this.#writable.writableFinished;
  }

  get bufferedBytes(): number {
    return this.#writable.writableLength;
  }

  get takenBytes(): number {
    return takenBytes(this.#writable) ?? 0;
  }

  get wait(): ReaderWait {
    return waitOf(this.#writable);
  }

  write(chunk: Chunk, handedOn: () => void): void {
    this.#writable.write(chunk, handedOn);
  }

  end(): void {
    this.#writable.end();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#writable.destroy();
  }

  listen(events: DestinationEvents): void {
    this.#events = events;
    this.#writable.on("drain", events.onProgress);
    this.#writable.on("finish", events.onProgress);
    this.#writable.on("error", events.onError);
    this.#writable.on("close", events.onClose);
  }

  unlisten(): void {
    if (this.#events === undefined) return;
    const { onProgress, onError, onClose } = this.#events;
    this.#writable.off("drain", onProgress);
    this.#writable.off("finish", onProgress);
    this.#writable.off("close", onClose);
    if (!this.#destroyed) this.#writable.off("error", onError);
  }
}
