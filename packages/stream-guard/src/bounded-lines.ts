import { Readable } from "node:stream";
import { MessageTooLargeError } from "./errors.ts";
import { bytes, fn } from "./options.ts";
import { safely } from "./safe-emit.ts";
import type { StreamingSession } from "./streaming-session.ts";

const MAX_LINE_BYTES = 4 * 1024 * 1024;
const FIRST_CAPACITY_BYTES = 4096;
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
  #line = Buffer.alloc(0);
  #lineBytes = 0;
  /** Of a line that is being left out. */
  #droppedBytes = 0;

  /** @throws InvalidArgumentError */
  constructor(source: Readable, session: StreamingSession, options: BoundedLinesOptions = {}) {
    super();
    this.#source = source;
    this.#session = session;
    this.#maxLineBytes = bytes("maxLineBytes", options.maxLineBytes ?? MAX_LINE_BYTES, 1);
    this.#onDropped = fn("onDropped", options.onDropped ?? ((): void => {}));
    this.#unfollow = follow(source, {
      data: (chunk: Buffer | string) => {
        this.#accept(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
      },
      end: () => {
        if (this.#lineBytes > 0) this.#emit(this.#takeLine());
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
    this.#forget();
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
    const whole = this.#lineBytes === 0 && this.#droppedBytes === 0;
    if (whole && rest.length <= this.#maxLineBytes) {
      this.#emit(rest);
      return;
    }
    this.#extend(rest);
    if (this.#droppedBytes === 0) {
      this.#emit(this.#takeLine());
      return;
    }
    const dropped = new MessageTooLargeError(this.#droppedBytes, this.#maxLineBytes);
    this.#droppedBytes = 0;
    safely(() => {
      this.#onDropped(dropped);
    });
  }

  #extend(part: Buffer): void {
    const size = this.#lineBytes + part.length;
    if (this.#droppedBytes > 0 || size > this.#maxLineBytes || !this.#grow(size)) {
      this.#droppedBytes += size;
      this.#forget();
      return;
    }
    part.copy(this.#line, this.#lineBytes);
    this.#lineBytes = size;
  }

  #grow(size: number): boolean {
    if (size <= this.#line.length) return true;
    const doubled = Math.max(FIRST_CAPACITY_BYTES, 2 * this.#line.length, size);
    const capacity = Math.min(this.#maxLineBytes, doubled);
    if (this.#session.closed || !this.#session.tryReserve(capacity)) return false;
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.#line.copy(grown, 0, 0, this.#lineBytes);
    this.#session.release(this.#line.length);
    this.#line = grown;
    return true;
  }

  #takeLine(): Buffer {
    const line = this.#line.subarray(0, this.#lineBytes);
    this.#forget();
    return line;
  }

  #forget(): void {
    this.#session.release(this.#line.length);
    this.#line = Buffer.alloc(0);
    this.#lineBytes = 0;
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
