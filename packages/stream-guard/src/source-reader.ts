import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { InvalidArgumentError } from "./errors.ts";
import type { Chunk } from "./chunk-size.ts";

export type Source = AsyncIterable<Chunk> | Readable | ReadableStream<Chunk>;

/** Gets the outcome of one read: callbacks, because a promise for each chunk is what streams pay most for. */
export interface ChunkReceiver {
  /** Undefined at the end. */
  readonly onChunk: (chunk: Chunk | undefined) => void;
  readonly onFailure: (reason: unknown) => void;
}

interface Feed {
  next(): Promise<ReadResult>;
  /** Must not wait for a `next` that never comes. */
  destroy(reason: unknown): void;
}

interface ReadResult {
  readonly done?: boolean | undefined;
  readonly value?: unknown;
}

/** Reads any kind of source chunk by chunk; `destroy` ends a read that is under way at once. */
export class SourceReader {
  readonly #feed: Feed;
  #receiver: ChunkReceiver | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #ended = false;

  /** @throws InvalidArgumentError when `source` is none of the supported kinds */
  constructor(source: Source) {
    this.#feed = feedOf(source);
  }

  /** Reads one chunk. One read at a time. */
  read(receiver: ChunkReceiver): void {
    if (this.#failure !== undefined) receiver.onFailure(this.#failure.reason);
    else {
      this.#receiver = receiver;
      this.#feed.next().then(this.#onResult, this.#onError);
    }
  }

  /** The next chunk, or undefined at the end. */
  next(): Promise<Chunk | undefined> {
    return new Promise((onChunk, onFailure) => {
      this.read({ onChunk, onFailure });
    });
  }

  /** Fails the read under way, and those to come, with `reason`, and destroys the source. */
  destroy(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#takeReceiver()?.onFailure(reason);
    if (!this.#ended) this.#feed.destroy(reason);
    this.#ended = true;
  }

  readonly #onResult = ({ done, value }: ReadResult): void => {
    if (done === true) this.#ended = true;
    this.#takeReceiver()?.onChunk(done === true ? undefined : (value as Chunk));
  };

  readonly #onError = (error: unknown): void => {
    this.#ended = true;
    this.#failure ??= { reason: error };
    this.#takeReceiver()?.onFailure(error);
  };

  #takeReceiver(): ChunkReceiver | undefined {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    return receiver;
  }
}

function feedOf(source: Source): Feed {
  if (isWebStream(source)) {
    const reader = source.getReader();
    return {
      next: () => reader.read(),
      destroy: (reason) => {
        reader.cancel(reason).catch(ignore);
      },
    };
  }
  const iterator = (source as Partial<AsyncIterable<Chunk>> | null)?.[Symbol.asyncIterator]?.();
  if (iterator === undefined) {
    const expected = "an AsyncIterable, a Readable or a ReadableStream";
    throw new InvalidArgumentError("source", expected, source);
  }
  return {
    next: () => iterator.next(),
    destroy: () => {
      if (isReadable(source)) source.destroy();
      iterator.return?.().then(ignore, ignore);
    },
  };
}

function isWebStream(source: unknown): source is ReadableStream<Chunk> {
  return typeof (source as Partial<ReadableStream> | null)?.getReader === "function";
}

function isReadable(source: Source): source is Readable {
  return typeof (source as Partial<Readable>).destroy === "function";
}

function ignore(): void {}
