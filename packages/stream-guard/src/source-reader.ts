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
  /** Code of others: whatever it gives is looked at. */
  next(): unknown;
  /** Must not wait for a `next` that never comes. May throw. */
  destroy(reason: unknown): void;
}

interface ReadResult {
  readonly done?: unknown;
  readonly value?: unknown;
}

/**
 * Reads any kind of source chunk by chunk; `destroy` ends a read that is under way at once. A source that
 * breaks the rules of iterators fails, and is destroyed.
 */
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
      this.#ask();
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
    if (!this.#ended) attempt(() => this.#feed.destroy(reason));
    this.#ended = true;
  }

  #ask(): void {
    try {
      // A promise of a promise is that promise: it costs nothing to take no source's word for it.
      Promise.resolve(this.#feed.next()).then(this.#onResult, this.#onError);
    } catch (error) {
      this.#onError(error);
    }
  }

  readonly #onResult = (result: unknown): void => {
    if (typeof result !== "object" || result === null) {
      const expected = "an iterator whose next() gives { done, value }";
      this.destroy(new InvalidArgumentError("source", expected, result));
      return;
    }
    const read = this.#look(result);
    if (read === undefined) return;
    const { done, value } = read;
    if (done === true) {
      this.#ended = true;
      this.#takeReceiver()?.onChunk(undefined);
    } else if (value === undefined)
      this.destroy(new InvalidArgumentError("chunk", "a Uint8Array or a string", value));
    else this.#takeReceiver()?.onChunk(value as Chunk);
  };

  /** Getters of a result are code of others too. */
  #look(result: ReadResult): ReadResult | undefined {
    try {
      return { done: Boolean(result.done), value: result.value };
    } catch (error) {
      this.destroy(error);
      return undefined;
    }
  }

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
  if (isWebStream(source)) return feedOfWebStream(source);
  const iterator = (source as Partial<AsyncIterable<Chunk>> | null)?.[Symbol.asyncIterator]?.();
  if (typeof (iterator as Partial<AsyncIterator<Chunk>> | undefined)?.next !== "function") {
    const expected = "an AsyncIterable, a Readable or a ReadableStream";
    throw new InvalidArgumentError("source", expected, source);
  }
  // It may fail before its iterator listens: the first read hears of that, and nobody else has to.
  if (isReadable(source)) attempt(() => source.on("error", ignore));
  return {
    next: () => iterator?.next(),
    destroy: () => {
      if (isReadable(source)) attempt(() => source.destroy());
      Promise.resolve(iterator?.return?.()).then(ignore, ignore);
    },
  };
}

function feedOfWebStream(source: ReadableStream<Chunk>): Feed {
  if (source.locked)
    throw new InvalidArgumentError("source", "a ReadableStream that nobody else reads", source);
  const reader = source.getReader();
  return {
    next: () => reader.read(),
    destroy: (reason) => {
      Promise.resolve(reader.cancel(reason)).then(ignore, ignore);
    },
  };
}

function isWebStream(source: unknown): source is ReadableStream<Chunk> {
  return typeof (source as Partial<ReadableStream> | null)?.getReader === "function";
}

function isReadable(source: Source): source is Readable {
  return typeof (source as Partial<Readable>).destroy === "function";
}

/** What a source does when it is told to end is its own affair. */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // It was the last that was asked of it.
  }
}

function ignore(): void {}
