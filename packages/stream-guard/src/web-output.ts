import { ReadableStream } from "node:stream/web";
import type {
  ReadableByteStreamController,
  ReadableStreamDefaultController,
  UnderlyingByteSource,
} from "node:stream/web";
import type { Account } from "./account.ts";
import { ByobOutput } from "./byob-output.ts";
import { ChargedReader } from "./charged-reader.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface ReadableStreamOptions {
  /**
   * `"bytes"` makes a stream that also serves readers which bring their own buffer (BYOB). It copies
   * each chunk, because a byte stream takes the buffer of what it is given away from its owner.
   */
  readonly type?: "bytes" | undefined;
}

/** What a web stream's controller offers, of either kind. */
export interface WebOutput {
  /** False when it took only a part: `flush` goes on with the rest at the next pull. */
  enqueue(chunk: Uint8Array): boolean | void;
  flush?(): boolean;
  close(): void;
  error(reason: unknown): void;
}

/**
 * See `StreamingSession.readableStream`. Without a queue of its own (`highWaterMark: 0`) it is pulled
 * only for a reader that waits, and who waits has taken what came before.
 *
 * @throws InvalidArgumentError
 */
export function sessionReadableStream(
  session: StreamingSession,
  account: Account,
  source: Source,
  { type }: ReadableStreamOptions,
): ReadableStream<Uint8Array> {
  if (type !== undefined && type !== "bytes")
    throw new InvalidArgumentError("type", '"bytes" or nothing', type);
  let pump: Pump | undefined;
  const start = (controller: unknown): void => {
    const output: WebOutput =
      type === "bytes"
        ? new ByobOutput(controller as ReadableByteStreamController)
        : (controller as ReadableStreamDefaultController<Uint8Array>);
    pump = new Pump(session, account, source, output);
  };
  const pull = (): Promise<void> | undefined => pump?.next();
  const cancel = (): void => pump?.stop();
  const underlying = { type, start, pull, cancel } as UnderlyingByteSource;
  return new ReadableStream(underlying, { highWaterMark: 0 });
}

/** Moves one chunk for each pull, and releases it at the next. */
class Pump {
  readonly #session: StreamingSession;
  readonly #reader: ChargedReader;
  readonly #output: WebOutput;
  #pulled: PromiseWithResolvers<void> | undefined;
  #heldBytes = 0;
  #partial = false;

  constructor(session: StreamingSession, account: Account, source: Source, output: WebOutput) {
    this.#session = session;
    this.#output = output;
    this.#reader = new ChargedReader(session, account, source, {
      heldBytes: () => this.#heldBytes,
      onChunk: this.#onChunk,
      onFailure: this.#onFailure,
    });
  }

  next(): Promise<void> | undefined {
    if (this.#partial) {
      this.#partial = this.#output.flush?.() === false;
      return undefined;
    }
    this.#release();
    this.#pulled = Promise.withResolvers();
    const { promise } = this.#pulled;
    this.#reader.read();
    return promise;
  }

  stop(): void {
    this.#release();
    this.#reader.stop();
    this.#settle();
  }

  readonly #onChunk = (chunk: Uint8Array | undefined, bytes: number): void => {
    this.#heldBytes = bytes;
    if (chunk?.byteLength === 0) {
      this.#release();
      this.#reader.read();
      return;
    }
    try {
      if (chunk === undefined) this.#output.close();
      else this.#partial = this.#output.enqueue(chunk) === false;
      this.#settle();
    } catch {
      // The reader's buffer is unfit (detached, or it wants whole numbers of more bytes than there are): the stream has failed already.
      this.stop();
    }
  };

  readonly #onFailure = (reason: unknown): void => {
    this.#release();
    this.#output.error(reason);
    this.#settle();
  };

  #settle(): void {
    this.#pulled?.resolve();
    this.#pulled = undefined;
  }

  #release(): void {
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    if (bytes > 0) this.#session.release(bytes);
  }
}
