import type { ServerResponse } from "node:http";
import { cutConnection, shareConnection } from "./connection.ts";
import { ReaderStalledError } from "./errors.ts";
import type { InTransit } from "./in-transit.ts";
import type { StreamingSession } from "./streaming-session.ts";
import { takenBytes, waitOf } from "./taken-bytes.ts";

export interface ResponseMeterOptions {
  /** Where bytes of this response may already be reserved. */
  readonly inTransit?: InTransit | undefined;
  /** `write` always says that there is room: the writer then never buffers where nobody can count. */
  readonly absorb: boolean;
  readonly onClose: () => void;
}

/** What may still be written after the session closed: an error that says so. */
const LAST_WORDS_BYTES = 2048;

/** Charges a session with what a response buffers; past the limit the response is destroyed. */
export class ResponseMeter {
  readonly #response: ServerResponse;
  readonly #session: StreamingSession;
  readonly #options: ResponseMeterOptions;
  readonly #write: ServerResponse["write"];
  readonly #end: ServerResponse["end"];
  #chargedBytes = 0;
  #handedOn = 0;
  #lastWordsBytes = LAST_WORDS_BYTES;
  #ended = false;
  #undo: readonly (() => void)[] = [];

  constructor(response: ServerResponse, session: StreamingSession, options: ResponseMeterOptions) {
    this.#response = response;
    this.#session = session;
    this.#options = options;
    this.#write = response.write.bind(response);
    this.#end = response.end.bind(response);
  }

  /** Puts itself in front of the response, for as long as that lasts. */
  attach(): void {
    this.#response.write = this.#meteredWrite as ServerResponse["write"];
    this.#response.end = this.#meteredEnd as ServerResponse["end"];
    this.#response.once("close", this.#onClose);
    shareConnection(this.#response, this.#onClose);
    this.#undo = [
      this.#session.onClose(this.#onSessionClose),
      this.#session.watchReader({
        heldBytes: () => this.#bufferedBytes(),
        taken: () => takenBytes(this.#response) ?? this.#handedOn,
        wait: () => waitOf(this.#response),
      }),
    ];
    // One that was closed before, while something else was awaited, does not say so again.
    if (this.#response.destroyed) this.#onClose();
  }

  readonly #meteredWrite = (...written: readonly unknown[]): boolean => {
    const args = inBytes(written);
    if (!this.#admit(args)) return true;
    const { rest, callback } = splitCallback(args);
    const ready = Reflect.apply(this.#write, undefined, [
      ...rest,
      (error?: Error | null) => {
        this.#handedOn += 1;
        this.#follow();
        callback?.(error);
      },
    ]) as boolean;
    this.#follow();
    return this.#options.absorb || ready;
  };

  readonly #meteredEnd = (...written: readonly unknown[]): ServerResponse => {
    const args = inBytes(written);
    if (!this.#admit(args)) return this.#response;
    Reflect.apply(this.#end, undefined, args);
    this.#follow();
    return this.#response;
  };

  /** Reserves what is about to be written; false, and the response destroyed, when there is no room. */
  #admit(args: readonly unknown[]): boolean {
    const bytes = lengthOf(args);
    if (bytes === 0) return true;
    if (this.#session.closed && bytes <= this.#lastWordsBytes) {
      this.#lastWordsBytes -= bytes;
      return true;
    }
    const inTransit = this.#options.inTransit?.take(bytes) ?? 0;
    this.#chargedBytes += inTransit;
    return this.#charge(bytes - inTransit);
  }

  /** Brings the charge to what is buffered now: more with headers and framing, less as the socket takes it. */
  #follow(): void {
    if (this.#session.closed || this.#ended) return;
    const buffered = this.#bufferedBytes();
    if (buffered > this.#chargedBytes) this.#charge(buffered - this.#chargedBytes);
    else this.#discharge(this.#chargedBytes - buffered);
  }

  /** While this response is the one being written, also what its socket buffers. */
  #bufferedBytes(): number {
    return this.#response.destroyed ? 0 : this.#response.writableLength;
  }

  #charge(bytes: number): boolean {
    try {
      this.#session.reserve(bytes);
    } catch {
      void this.#session.close("limit");
      cutConnection(this.#response, false);
      return false;
    }
    this.#chargedBytes += bytes;
    if (this.#ended) this.#discharge(this.#chargedBytes);
    return !this.#ended;
  }

  #discharge(bytes: number): void {
    this.#chargedBytes -= bytes;
    this.#session.release(bytes);
  }

  readonly #onClose = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    for (const undo of this.#undo) undo();
    this.#discharge(this.#chargedBytes);
    this.#options.onClose();
  };

  /** What is buffered is no longer charged to anyone, so it must go; an empty response may end in peace. */
  readonly #onSessionClose = (): void => {
    if (this.#response.writableLength === 0) return;
    cutConnection(this.#response, this.#session.signal.reason instanceof ReaderStalledError);
  };
}

function splitCallback(args: readonly unknown[]): {
  readonly rest: readonly unknown[];
  readonly callback: ((error?: Error | null) => void) | undefined;
} {
  const last = args.at(-1);
  if (typeof last !== "function") return { rest: args, callback: undefined };
  return { rest: args.slice(0, -1), callback: last as (error?: Error | null) => void };
}

/** Node counts a string it buffers by its characters, and these bytes must be the ones that are charged. */
function inBytes(args: readonly unknown[]): readonly unknown[] {
  const [chunk, encoding, ...rest] = args;
  if (typeof chunk !== "string" || chunk === "") return args;
  const named = typeof encoding === "string";
  const bytes = Buffer.from(chunk, named ? (encoding as BufferEncoding) : "utf8");
  return named || encoding === undefined ? [bytes, ...rest] : [bytes, encoding, ...rest];
}

function lengthOf([chunk]: readonly unknown[]): number {
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
