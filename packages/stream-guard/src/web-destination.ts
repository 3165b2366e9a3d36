import type { WritableStream, WritableStreamDefaultWriter } from "node:stream/web";
import type { Chunk } from "./chunk-size.ts";
import type { Destination, DestinationEvents } from "./destination.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { ReaderWait } from "./reader.ts";

const encoder = new TextEncoder();

/** A WritableStream, locked for as long as it is written to. It gets bytes only: strings are encoded. */
export class WebDestination implements Destination {
  readonly gone = false;
  readonly takenBytes = 0;
  readonly wait: ReaderWait = "blocked";
  bufferedBytes = 0;
  finished = false;
  readonly #writable: WritableStream<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #ready: Promise<unknown> | undefined;
  #events: DestinationEvents | undefined;
  #destroyed = false;

  /** @throws InvalidArgumentError when another writer has it */
  constructor(writable: WritableStream<Uint8Array>) {
    if (writable.locked)
      throw new InvalidArgumentError("writable", "a stream that is not locked", writable);
    this.#writable = writable;
  }

  /** Of a failed stream it says that there is room: the failure itself is reported. */
  get needsDrain(): boolean {
    return !this.#destroyed && (this.#writer?.desiredSize ?? 1) <= 0;
  }

  write(chunk: Chunk, handedOn: () => void): void {
    const bytes = typeof chunk === "string" ? encoder.encode(chunk) : chunk;
    this.bufferedBytes += bytes.byteLength;
    const onWritten = (): void => {
      this.bufferedBytes -= bytes.byteLength;
      handedOn();
    };
    this.#writer?.write(bytes).then(onWritten, ignore);
    this.#followReady();
  }

  end(): void {
    const onClosed = (): void => {
      this.finished = true;
      this.#events?.onProgress();
    };
    this.#writer?.close().then(onClosed, ignore);
  }

  destroy(reason: unknown): void {
    this.#destroyed = true;
    this.#writer?.abort(reason).catch(ignore);
  }

  listen(events: DestinationEvents): void {
    this.#events = events;
    this.#writer = this.#writable.getWriter();
    this.#writer.closed.then(() => this.#events?.onClose(), this.#onError);
    this.#followReady();
  }

  unlisten(): void {
    this.#events = undefined;
    this.#writer?.releaseLock();
  }

  /** A stream that fails rejects `ready` at once, `closed` and the writes only when the write under way has ended. */
  #followReady(): void {
    const ready = this.#writer?.ready;
    if (ready === undefined || ready === this.#ready) return;
    this.#ready = ready;
    ready.then(() => this.#events?.onProgress(), this.#onError);
  }

  readonly #onError = (cause: unknown): void => {
    this.#events?.onError(cause);
  };
}

function ignore(): void {}
