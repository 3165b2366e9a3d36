import { Writable } from "node:stream";
import type { PipedBatches, StreamingSession } from "@mcp-accel/stream-guard";
import type { Books } from "./books.ts";
import type { Random } from "./random.ts";

/** A stream that ended as streams may end; other outcomes are mistakes. */
export type Report = (error: unknown) => void;

/** A source of a few chunks of all kinds: whole buffers, views that share one, text; it may break. */
export async function* randomSource(
  random: Random,
  maxBytes: number,
): AsyncGenerator<Uint8Array | string> {
  const slab = new Uint8Array(1 + random.below(maxBytes));
  const chunks = random.below(12);
  for (let count = 0; count < chunks; count += 1) {
    const kind = random.below(4);
    if (kind === 0) yield "é".repeat(random.below(maxBytes / 2));
    else if (kind === 1) yield new Uint8Array(random.below(maxBytes));
    else yield slab.subarray(0, random.below(slab.length));
  }
  if (random.chance(0.05)) throw new Error("the source broke");
}

/** A piped stream and what its consumer holds of it. */
export class Piped {
  readonly #session: StreamingSession;
  readonly #books: Books;
  readonly #batches: PipedBatches;
  #heldBytes = 0;
  #reading = false;

  constructor(session: StreamingSession, books: Books, source: AsyncIterable<Uint8Array | string>) {
    this.#session = session;
    this.#books = books;
    this.#batches = session.pipe(source);
  }

  next(report: Report): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#drop();
    this.#batches.next().then(
      ({ value }) => {
        this.#reading = false;
        if (value === undefined || this.#session.closed) return undefined;
        this.#heldBytes = value[0]?.buffer.byteLength ?? 0;
        return this.#books.add(this.#session, this.#heldBytes);
      },
      (error: unknown) => {
        this.#reading = false;
        report(error);
      },
    );
  }

  return(): void {
    this.#drop();
    void this.#batches.return();
  }

  #drop(): void {
    this.#books.add(this.#session, -this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/** A destination that hands on one chunk when told to, and books what it holds until then. */
export class Destination extends Writable {
  readonly #session: StreamingSession;
  readonly #books: Books;
  /** Buffers of which a part is held, with the number of parts. */
  readonly #shared = new Map<ArrayBufferLike, number>();
  readonly #pending: (() => void)[] = [];

  constructor(session: StreamingSession, books: Books, highWaterMark: number) {
    super({ highWaterMark, decodeStrings: false });
    this.#session = session;
    this.#books = books;
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    const free = this.#hold(chunk as Uint8Array | string);
    const callback = rest.at(-1) as (error?: Error | null) => void;
    return super.write(chunk, (error) => {
      free();
      callback(error);
    });
  }

  override _write(_chunk: unknown, _encoding: BufferEncoding, callback: () => void): void {
    this.#pending.push(callback);
  }

  accept(): void {
    this.#pending.shift()?.();
  }

  #hold(chunk: Uint8Array | string): () => void {
    const buffer = typeof chunk === "string" ? undefined : chunk.buffer;
    const shared =
      buffer !== undefined && (chunk as Uint8Array).byteLength < buffer.byteLength
        ? buffer
        : undefined;
    const bytes = buffer?.byteLength ?? Buffer.byteLength(chunk);
    if (shared === undefined || !this.#shared.has(shared)) this.#books.add(this.#session, bytes);
    if (shared !== undefined) this.#shared.set(shared, (this.#shared.get(shared) ?? 0) + 1);
    return () => {
      const left = shared === undefined ? 0 : (this.#shared.get(shared) ?? 0) - 1;
      if (shared !== undefined && left > 0) this.#shared.set(shared, left);
      else {
        if (shared !== undefined) this.#shared.delete(shared);
        this.#books.add(this.#session, -bytes);
      }
    };
  }
}
