import { Readable } from "node:stream";
import { MessageTooLargeError } from "./errors.ts";
import { GrowingBuffer } from "./growing-buffer.ts";
import { bytes, fn } from "./options.ts";
import { safely } from "./safe-emit.ts";
import type { StreamingSession } from "./streaming-session.ts";

const MAX_LINE_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface BoundedLinesOptions {
  /** Longest line that is passed on, its newline included. */
  readonly maxLineBytes?: number;
  /** Told of a line that was left out: too long, or more than the session has room for. */
  readonly onDropped?: (error: MessageTooLargeError) => void;
}

/**
 * The same input, in whole lines. A line that has not ended yet is kept in a buffer that doubles, so
 * that its cost is linear, and is charged to the session; one that grows too long is left out.
 * The SDKs' own buffer copies and searches all of an unfinished line for every chunk of it.
 */
export class BoundedLines extends Readable {
  readonly #source: Readable;
  readonly #session: StreamingSession;
  readonly #maxLineBytes: number;
  readonly #onDropped: (error: MessageTooLargeError) => void;
  readonly #unfollow: () => void;
  readonly #line: GrowingBuffer;
  /** Of a line that is being left out. */
  #droppedBytes = 0;

  /** @throws InvalidArgumentError */
  constructor(source: Readable, session: StreamingSession, options: BoundedLinesOptions = {}) {
    super();
    this.#source = source;
    this.#session = session;
    this.#maxLineBytes = bytes("maxLineBytes", options.maxLineBytes ?? MAX_LINE_BYTES, 1);
    this.#line = new GrowingBuffer(session, this.#maxLineBytes);
    this.#onDropped = fn("onDropped", options.onDropped ?? ((): void => {}));
    this.#unfollow = follow(source, {
      data: (chunk: Buffer | string) => {
        this.#accept(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
      },
      end: () => {
        if (this.#line.lengthBytes > 0) this.#emit(this.#takeLine());
        this.#reportDropped();
        this.push(null);
      },
      error: (error: Error) => {
        this.destroy(error);
      },
      close: () => {
        if (!source.readableEnded) this.destroy();
      },
    });
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  /** Lets the source rest too, so that a process with nothing else to do may end. */
  override pause(): this {
    this.#source.pause();
    return super.pause();
  }

  override resume(): this {
    this.#source.resume();
    return super.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#unfollow();
    this.#source.pause();
    this.#line.clear();
    callback(error);
  }

  #accept(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#finish(chunk.subarray(start, end + 1));
      start = end + 1;
    }
    if (start < chunk.length) this.#extend(chunk.subarray(start));
  }

  #finish(rest: Buffer): void {
    const whole = this.#line.lengthBytes === 0 && this.#droppedBytes === 0;
    if (whole && rest.length <= this.#maxLineBytes) {
      this.#emit(rest);
      return;
    }
    this.#extend(rest);
    if (this.#droppedBytes === 0) this.#emit(this.#takeLine());
    else this.#reportDropped();
  }

  #reportDropped(): void {
    if (this.#droppedBytes === 0) return;
    const dropped = new MessageTooLargeError(this.#droppedBytes, this.#maxLineBytes);
    this.#droppedBytes = 0;
    safely(() => {
      this.#onDropped(dropped);
    });
  }

  #extend(part: Buffer): void {
    const size = this.#line.lengthBytes + part.length;
    const fits = this.#droppedBytes === 0 && size <= this.#maxLineBytes && !this.#session.closed;
    if (fits && this.#line.append(part)) return;
    this.#droppedBytes += size;
    this.#line.clear();
  }

  #takeLine(): Buffer {
    const line = this.#line.bytes;
    this.#line.clear();
    return line;
  }

  #emit(line: Buffer): void {
    if (!this.push(line)) this.#source.pause();
  }
}

function follow(
  source: Readable,
  listeners: Readonly<Record<string, (argument: never) => void>>,
): () => void {
  for (const [event, listener] of Object.entries(listeners))
    source.on(event, listener as (argument: unknown) => void);
  return () => {
    for (const [event, listener] of Object.entries(listeners))
      source.off(event, listener as (argument: unknown) => void);
  };
}
