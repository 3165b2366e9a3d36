import type { IncomingHttpHeaders } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { NotWrittenError } from "./connection.ts";
import type { Connection, Lane } from "./connection.ts";
import { DISCARD_MS } from "./discard.ts";
import type { Discarding } from "./discard.ts";
import { responseError } from "./errors.ts";
import type { LinkedNode } from "./linked-list.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import type { ReplayAware } from "./replay.ts";
import { isReplayable } from "./replayable.ts";
import { closableBody, isPlainBody } from "./request-body.ts";
import type { RequestBody } from "./request-body.ts";
import { isEventStream, saysNothing } from "./event-stream.ts";
import { singleHeaders } from "./response-headers.ts";
import { safely } from "./safely.ts";
import type { Schedule } from "./schedule.ts";
import { errors } from "./undici.ts";
import type { WaitQueue } from "./wait-queue.ts";

type Controller = Dispatcher.DispatchController;

/** What an exchange needs of the pool that carries it. */
export interface Carrier {
  now(): number;
  /** Its answer began, and is an event stream. */
  streaming(exchange: Exchange): void;
  readonly schedule: Schedule;
  readonly headersTimeoutMs: number;
  /** The request is about to be written to its connection. */
  started(exchange: Exchange, connection: Connection): void;
  /** It is over for the caller. */
  finished(exchange: Exchange, error: Error | undefined): void;
  /** Undici is done with it; its connection can be taken back. */
  release(exchange: Exchange, error: Error | undefined): void;
  /** What it is told when it could not be written to any connection. */
  unavailable(exchange: Exchange, cause: Error): Error;
  /** True when the pool sends it again. */
  again(exchange: Exchange, error: Error): boolean;
}

/**
 * One request on its way through the pool: what undici reports about it goes to the caller's handler,
 * what the caller wants (abort, pause) goes to undici. The handler sees one start, however often it is sent.
 */
export class Exchange implements Discarding, Dispatcher.DispatchHandler {
  readonly options: PoolDispatchOptions;
  readonly lane: Lane;
  readonly createdAt: number;
  /** Its place in the queue. */
  queueNode: LinkedNode<Exchange> | undefined;
  queuedIn: WaitQueue | undefined;
  queuedAt = 0;
  queueDeadline = 0;
  connection: Connection | undefined;
  attempts = 0;
  /** The current attempt was written, at least in part. */
  started = false;
  /** When the head of an event stream came. */
  answeredAt = 0;
  /** When the connection was given to it. */
  assignedAt = 0;
  /** Something of a response came. */
  responded = false;
  statusCode = 0;
  reused = false;
  /** Its connection had been idle, used before or not. */
  rested = false;
  replayed = false;
  done = false;
  /** When something of the body came last. */
  quietSince: number | undefined;
  /** When something of a request body that is a stream went out last, until all of it has. */
  sentSince: number | undefined;
  /** It was reported that nobody reads its body. */
  leaked = false;
  /** Where it was made, if that is recorded. */
  stack: string | undefined;
  /** The response is an event stream, which may be silent for as long as it likes. */
  endless = false;
  /** Ends the attempt to open a connection of its own. */
  cancelOpening: (() => void) | undefined;
  readonly #carrier: Carrier;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #body: RequestBody | undefined;
  #inner: Controller | undefined;
  #aborted = false;
  #paused = false;
  #reason: Error | null = null;
  #cancelDiscard: (() => void) | undefined;

  constructor(
    carrier: Carrier,
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
    lane: Lane,
  ) {
    this.#carrier = carrier;
    this.#handler = handler;
    this.#body = isPlainBody(options.body) ? undefined : closableBody(options.body);
    this.options =
      this.#body === undefined ? options : { ...options, body: this.#body as unknown as Readable };
    this.lane = lane;
    this.createdAt = carrier.now();
  }

  get replayable(): boolean {
    return isReplayable(this.options);
  }

  /** It has no end of its own: a stream that was asked for, or a GET that is answered with events. */
  get isStream(): boolean {
    return this.lane === "stream" || (this.endless && this.options.method === "GET");
  }

  /** A request of the pool itself, on a connection that it keeps for others. */
  get keepsAlive(): boolean {
    return this.lane === "probe" && this.connection?.lane === "request";
  }

  /** Whether its caller has nothing against a second time. */
  get replayAllowed(): boolean {
    return !("mayReplay" in this.#handler) || (this.#handler as ReplayAware).mayReplay();
  }

  /** Lets the caller abort from now on, also while the request waits. */
  begin(): void {
    try {
      this.#handler.onRequestStart?.(this, undefined);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** Ends it with an error, once. */
  fail(error: Error): void {
    if (this.done) return;
    this.done = true;
    this.#reason ??= error;
    this.#cancelDiscard?.();
    this.#body?.close();
    this.#carrier.finished(this, error);
    safely("onResponseError", () => this.#handler.onResponseError?.(this, error));
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get rawHeaders(): NonNullable<Controller["rawHeaders"]> | null {
    return this.#inner?.rawHeaders ?? null;
  }

  get rawTrailers(): NonNullable<Controller["rawTrailers"]> | null {
    return this.#inner?.rawTrailers ?? null;
  }

  abort(reason: Error): void {
    if (this.done || this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    // Undici answers with onResponseError, which ends the exchange.
    if (this.#inner !== undefined) this.#inner.abort(reason);
    else this.fail(reason);
  }

  pause(): void {
    this.#paused = true;
    this.#inner?.pause();
  }

  resume(): void {
    // Readers ask for more at any time; what was held back is heard from then on.
    if (this.#paused) this.quietSince &&= this.#carrier.now();
    this.#paused = false;
    this.#inner?.resume();
  }

  discard(reason: Error): void {
    if (this.done) return;
    this.#cancelDiscard ??= this.#carrier.schedule(() => this.abort(reason), DISCARD_MS);
    this.resume();
  }

  onRequestStart(controller: Controller): void {
    // Nothing is written yet, and undici keeps the connection when this throws.
    if (this.done) throw this.#reason ?? new Error("the request is over");
    this.#inner = controller;
    if (this.#paused) controller.pause();
    this.started = true;
    if (!isPlainBody(this.options.body)) this.sentSince = this.#carrier.now();
    if (this.connection !== undefined) this.#carrier.started(this, this.connection);
  }

  onRequestUpgrade(
    _controller: Controller,
    statusCode: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    // The connection is not released: it is in use until it closes.
    this.statusCode = statusCode;
    this.done = true;
    if (this.connection !== undefined) this.connection.upgraded = true;
    this.#carrier.finished(this, undefined);
    this.#handler.onRequestUpgrade?.(this, statusCode, headers, socket);
  }

  onResponseStarted(): void {
    this.responded = true;
    this.#handler.onResponseStarted?.();
  }

  onResponseStart(
    _controller: Controller,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    this.statusCode = statusCode;
    const single = singleHeaders(headers);
    if (statusCode < 200) checkPatience(this, this.#carrier);
    else {
      if (this.connection !== undefined) this.connection.keepAliveHint = single["keep-alive"];
      this.quietSince = this.#carrier.now();
      if (isEventStream(single)) {
        this.endless = true;
        this.answeredAt = this.quietSince;
        this.#carrier.streaming(this);
      }
    }
    this.#handler.onResponseStart?.(this, statusCode, single, statusMessage);
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    // A comment in an event stream says that the connection lives, and no more.
    if (!this.endless || !saysNothing(chunk)) this.quietSince = this.#carrier.now();
    this.#handler.onResponseData?.(this, chunk);
  }

  onResponseEnd(_controller: Controller, trailers: IncomingHttpHeaders): void {
    if (this.done) return;
    this.done = true;
    this.#cancelDiscard?.();
    // A server may answer before it has read the request to its end.
    this.#body?.close();
    this.#carrier.finished(this, undefined);
    this.#carrier.release(this, undefined);
    try {
      this.#handler.onResponseEnd?.(this, trailers);
    } catch (error) {
      safely("onResponseError", () => this.#handler.onResponseError?.(this, error as Error));
    }
  }

  onResponseError(_controller: Controller | null, cause: Error): void {
    const error =
      this.connection === undefined
        ? cause
        : responseError(this.connection.upstream, cause, this.options.bodyTimeout ?? 0);
    if (!this.done && !this.#aborted && this.#carrier.again(this, error)) return;
    this.#carrier.release(this, error);
    this.fail(error instanceof NotWrittenError ? this.#carrier.unavailable(this, error) : error);
  }

  onBodySent(chunk: Buffer): void {
    if (this.sentSince !== undefined) this.sentSince = this.#carrier.now();
    this.#handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.sentSince = undefined;
    this.#handler.onRequestSent?.();
  }

  /** Forgets the attempt that failed, before another. */
  reset(): void {
    this.connection = undefined;
    this.started = false;
    this.sentSince = undefined;
    this.#inner = undefined;
  }
}

/** Undici waits for as long again after each answer that only informs. */
function checkPatience({ options, assignedAt }: Exchange, carrier: Carrier): void {
  const limitMs = options.headersTimeout ?? carrier.headersTimeoutMs;
  if (limitMs !== 0 && carrier.now() - assignedAt >= limitMs)
    throw new errors.HeadersTimeoutError("answers that only inform came, and no other in time");
}
