import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { GlobalResponse } from "./builtin-fetch.ts";
import { decodeBody } from "./content-decoding.ts";
import { discard } from "./discard.ts";
import { isEventStream } from "./event-stream.ts";
import { textOf } from "./text-of.ts";

type Controller = Dispatcher.DispatchController;
type BodyController = ReadableStreamDefaultController<Uint8Array>;

const NULL_BODY = new Set([204, 205, 304]);
/** Bytes that are read ahead of whoever reads the body. */
const READ_AHEAD_BYTES = 64 * 1024;
/** A body that is cancelled is read on for as much, since that is cheaper than a new connection. */
const DISCARD_BYTES = 64 * 1024;

/** Makes the global `Response` of what undici reports. */
export class FetchHandler implements Dispatcher.DispatchHandler {
  readonly response: Promise<Response>;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #method: string;
  readonly #signal: AbortSignal | undefined;
  #controller: Controller | undefined;
  #body: BodyController | undefined;
  #discarded: number | undefined;
  #endless = false;

  constructor(method: string, signal: AbortSignal | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#method = method;
    this.#signal = signal;
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#signal?.aborted === true) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  onResponseStart(
    _controller: Controller,
    status: number,
    headers: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    if (status < 200) return;
    const pairs = headerPairs(headers);
    this.#endless = isEventStream(headers);
    const empty = this.#method === "HEAD" || NULL_BODY.has(status);
    const coding = headers["content-encoding"];
    let body = empty ? null : this.#createBody();
    if (body !== null && coding !== undefined) body = decodeBody(body, coding);
    this.#resolve(
      new GlobalResponse(body, { status, statusText: statusText ?? "", headers: pairs }),
    );
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#discarded !== undefined) {
      this.#discarded += chunk.byteLength;
      if (this.#discarded > DISCARD_BYTES) controller.abort(new Error("the body was cancelled"));
      return;
    }
    if (this.#body === undefined) return;
    this.#body.enqueue(chunk);
    if ((this.#body.desiredSize ?? 0) <= 0) controller.pause();
  }

  onResponseEnd(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    if (this.#discarded === undefined) this.#body?.close();
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const reason: unknown = this.#signal?.aborted === true ? this.#signal.reason : error;
    this.#reject(reason);
    if (this.#discarded === undefined) this.#body?.error(reason);
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason;
    this.#controller?.abort(reason instanceof Error ? reason : new Error(textOf(reason)));
  };

  #createBody(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#body = controller;
        },
        pull: () => this.#controller?.resume(),
        cancel: () => this.#discard(),
      },
      { highWaterMark: READ_AHEAD_BYTES, size: byteLength },
    );
  }

  /** What is left of a short body is read and dropped; a stream that does not end is cut off. */
  #discard(): void {
    this.#discarded = 0;
    if (this.#controller === undefined) return;
    if (this.#endless) this.#controller.abort(new Error("the stream was cancelled"));
    else discard(this.#controller, new Error("the body was cancelled"));
  }
}

function byteLength(chunk: Uint8Array): number {
  return chunk.byteLength;
}

function headerPairs(headers: IncomingHttpHeaders): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") pairs.push([name, value]);
    else for (const item of value ?? []) pairs.push([name, item]);
  }
  return pairs;
}
