import { Readable } from "node:stream";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";

type Body = PoolDispatchOptions["body"];

/** An async iterable that can be ended from outside: undici forgets its iterator when the connection ends. */
export class RequestBody implements AsyncIterable<unknown> {
  readonly #source: AsyncIterable<unknown>;
  #iterator: AsyncIterator<unknown> | undefined;

  constructor(source: AsyncIterable<unknown>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    this.#iterator = this.#source[Symbol.asyncIterator]();
    return this.#iterator;
  }

  close(): void {
    try {
      // One that waits for something is closed once that has come.
      this.#iterator?.return?.().catch(() => undefined);
    } catch {
      // What does not even return a promise cannot be helped.
    }
  }
}

/** May be sent as often as it takes. */
export function isPlainBody(body: Body): boolean {
  return (
    body === undefined || body === null || typeof body === "string" || body instanceof Uint8Array
  );
}

/** Streams of Node are ended by undici itself; forms and blobs are not iterable. */
export function closableBody(body: unknown): RequestBody | undefined {
  if (typeof body !== "object" || body === null || body instanceof Readable) return undefined;
  return Symbol.asyncIterator in body ? new RequestBody(body as AsyncIterable<unknown>) : undefined;
}
