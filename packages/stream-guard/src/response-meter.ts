import type { ServerResponse } from "node:http";
import type { InTransit } from "./in-transit.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface ResponseMeterOptions {
  /** Where bytes of this response may already be reserved. */
  readonly inTransit?: InTransit | undefined;
  /** `write` always says that there is room: the writer then never buffers where nobody can count. */
  readonly absorb: boolean;
  readonly onClose: () => void;
}

/** Charges a session with what a response buffers; past the limit the response is destroyed. */
export class ResponseMeter {
  readonly #response: ServerResponse;
  readonly #session: StreamingSession;
  readonly #options: ResponseMeterOptions;
  readonly #write: ServerResponse["write"];
  readonly #end: ServerResponse["end"];
  #chargedBytes = 0;
  #unfollow: () => void = () => {};

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
    this.#unfollow = this.#session.onClose(this.#onSessionClose);
  }

  readonly #meteredWrite = (...args: readonly unknown[]): boolean => {
    if (!this.#admit(args)) return true;
    const { rest, callback } = splitCallback(args);
    const ready = Reflect.apply(this.#write, undefined, [
      ...rest,
      (error?: Error | null) => {
        this.#follow();
        callback?.(error);
      },
    ]) as boolean;
    this.#follow();
    return this.#options.absorb || ready;
  };

  readonly #meteredEnd = (...args: readonly unknown[]): ServerResponse => {
    if (!this.#admit(args)) return this.#response;
    Reflect.apply(this.#end, undefined, args);
    this.#follow();
    return this.#response;
  };

  /** Reserves what is about to be written; false, and the response destroyed, when there is no room. */
  #admit(args: readonly unknown[]): boolean {
    const bytes = lengthOf(args);
    if (bytes === 0) return true;
    const inTransit = this.#options.inTransit?.take(bytes) ?? 0;
    this.#chargedBytes += inTransit;
    return this.#charge(bytes - inTransit);
  }

  /** Brings the charge to what is buffered now: more with headers and framing, less as the socket takes it. */
  #follow(): void {
    if (this.#session.closed) return;
    const buffered = this.#response.destroyed ? 0 : this.#response.writableLength;
    if (buffered > this.#chargedBytes) this.#charge(buffered - this.#chargedBytes);
    else this.#discharge(this.#chargedBytes - buffered);
  }

  #charge(bytes: number): boolean {
    try {
      this.#session.reserve(bytes);
      this.#chargedBytes += bytes;
      return true;
    } catch {
      this.#response.destroy();
      void this.#session.close("limit");
      return false;
    }
  }

  #discharge(bytes: number): void {
    this.#chargedBytes -= bytes;
    this.#session.release(bytes);
  }

  readonly #onClose = (): void => {
    this.#unfollow();
    this.#discharge(this.#chargedBytes);
    this.#options.onClose();
  };

  /** What is buffered is no longer charged to anyone, so it must go; an empty response may end in peace. */
  readonly #onSessionClose = (): void => {
    if (this.#response.writableLength > 0) this.#response.destroy();
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

function lengthOf([chunk, encoding]: readonly unknown[]): number {
  if (chunk instanceof Uint8Array) return chunk.byteLength;
  if (typeof chunk !== "string") return 0;
  return Buffer.byteLength(
    chunk,
    typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8",
  );
}
