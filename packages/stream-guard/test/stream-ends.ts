// Every kind of source and of destination, each behind one shape, so that suites can pair them.
import { Readable, Writable } from "node:stream";
import { ReadableStream, WritableStream } from "node:stream/web";
import type { ReadableByteStreamController, UnderlyingByteSource } from "node:stream/web";
import type { Source, StreamingSession } from "@mcp-accel/stream-guard";

export interface WatchedSource {
  readonly source: Source;
  /** Chunks it was asked for. */
  readonly pulls: () => number;
  /** Destroyed, cancelled or returned before its end. */
  readonly cancelled: () => boolean;
}

/** Makes chunk number `index`; undefined ends the source, a throw fails it. */
export type MakeChunk = (index: number) => Uint8Array | undefined;

export interface ChunkReader {
  /** Resolves with undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  cancel(): void | Promise<void>;
}

export const sources: Readonly<Record<string, (make: MakeChunk) => WatchedSource>> = {
  "an async generator": (make) => {
    let pulls = 0;
    let cancelled = false;
    const source = (async function* () {
      let over = false;
      try {
        for (;;) {
          over = true;
          const chunk = make(pulls);
          pulls += 1;
          if (chunk === undefined) return;
          over = false;
          yield chunk;
        }
      } finally {
        cancelled = !over;
      }
    })();
    return { source, pulls: () => pulls, cancelled: () => cancelled };
  },
  "a Node Readable": (make) => {
    let pulls = 0;
    const source = new Readable({
      highWaterMark: 1,
      read() {
        try {
          this.push(make(pulls) ?? null);
        } catch (error) {
          this.destroy(error as Error);
        }
        pulls += 1;
      },
    });
    return {
      source,
      pulls: () => pulls,
      cancelled: () => source.destroyed && !source.readableEnded,
    };
  },
  "a ReadableStream": (make) => webSource(make, undefined),
  "a byte stream": (make) => webSource(make, "bytes"),
};

function webSource(make: MakeChunk, type: "bytes" | undefined): WatchedSource {
  let pulls = 0;
  let cancelled = false;
  const underlying = {
    type,
    pull: (controller: ReadableByteStreamController) => {
      const chunk = make(pulls);
      pulls += 1;
      if (chunk === undefined) controller.close();
      else controller.enqueue(new Uint8Array(chunk));
    },
    cancel: () => {
      cancelled = true;
    },
  } as UnderlyingByteSource;
  const source = new ReadableStream(underlying, { highWaterMark: 0 });
  return { source, pulls: () => pulls, cancelled: () => cancelled };
}

export const destinations: Readonly<
  Record<string, (session: StreamingSession, source: Source) => ChunkReader>
> = {
  "the batches of pipe": (session, source) => {
    const batches = session.pipe(source);
    return {
      read: async () => (await batches.next()).value?.[0],
      cancel: async () => void (await batches.return()),
    };
  },
  "a Node Writable": (session, source) => {
    const hand = new Hand();
    const writable = new Writable({
      highWaterMark: 1,
      write: (chunk: Uint8Array, _encoding, callback) => hand.give(chunk, callback),
      final: (callback) => {
        hand.end();
        callback();
      },
    });
    session.writeTo(writable, source).catch((error: unknown) => hand.fail(error));
    return { read: () => hand.take(), cancel: () => void writable.destroy() };
  },
  "a WritableStream": (session, source) => {
    const hand = new Hand();
    let fail: ((reason: unknown) => void) | undefined;
    const writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        fail = (reason) => controller.error(reason);
      },
      write: (chunk) => new Promise<void>((taken) => hand.give(chunk, taken)),
      close: () => hand.end(),
    });
    session.writeTo(writable, source).catch((error: unknown) => hand.fail(error));
    return { read: () => hand.take(), cancel: () => fail?.(new Error("gone")) };
  },
  "a Readable that is iterated": (session, source) => {
    const readable = session.readable(source);
    const iterator = readable.iterator() as AsyncIterator<Uint8Array, undefined>;
    return {
      read: async () => (await iterator.next()).value,
      cancel: () => void readable.destroy(),
    };
  },
  "a Readable that flows": (session, source) => {
    const hand = new Hand();
    const readable = session.readable(source);
    readable.on("data", (chunk: Uint8Array) => {
      readable.pause();
      hand.give(chunk, () => void readable.resume());
    });
    readable.on("end", () => hand.end());
    readable.on("error", (error) => hand.fail(error));
    return { read: () => hand.take(), cancel: () => void readable.destroy() };
  },
  "a ReadableStream": (session, source) => {
    const reader = session.readableStream(source).getReader();
    return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
  },
  "a byte stream": (session, source) => {
    const reader = session.readableStream(source, { type: "bytes" }).getReader();
    return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
  },
  "a reader with a buffer of its own": (session, source) => {
    const stream = session.readableStream(source, { type: "bytes" });
    const reader = stream.getReader({ mode: "byob" });
    return {
      read: async () => {
        const { done, value } = await reader.read(new Uint8Array(700));
        return done ? undefined : value;
      },
      cancel: () => reader.cancel(),
    };
  },
};

/** One chunk at a time, handed from a writable to who reads: the writable waits until the next is asked for. */
class Hand {
  #asked: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  #given: { readonly chunk: Uint8Array; readonly taken: () => void } | undefined;
  #takenBefore: (() => void) | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  give(chunk: Uint8Array, taken: () => void): void {
    this.#given = { chunk, taken };
    this.#meet();
  }

  end(): void {
    this.#ended = true;
    this.#meet();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#meet();
  }

  take(): Promise<Uint8Array | undefined> {
    this.#takenBefore?.();
    this.#takenBefore = undefined;
    this.#asked = Promise.withResolvers();
    const { promise } = this.#asked;
    this.#meet();
    return promise;
  }

  #meet(): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    if (this.#failure !== undefined) asked.reject(this.#failure.error);
    else if (this.#given !== undefined) {
      this.#takenBefore = this.#given.taken;
      asked.resolve(this.#given.chunk);
      this.#given = undefined;
    } else if (this.#ended) asked.resolve(undefined);
    else return;
    this.#asked = undefined;
  }
}
