import type { Readable, Writable } from "node:stream";
import type { ReadableStream, WritableStream } from "node:stream/web";
import { Account } from "./account.ts";
import type { Bank } from "./account.ts";
import { SessionClosedError } from "./errors.ts";
import type { Ledger } from "./ledger.ts";
import { SessionReadable } from "./node-output.ts";
import { abortSignal, bytes as checkBytes, duration, fn, record } from "./options.ts";
import { PipedBatches } from "./pipe.ts";
import { ReaderWatch } from "./reader.ts";
import type { Reader, Stall } from "./reader.ts";
import type { Refusal } from "./reserve-queue.ts";
import { safely } from "./safe-emit.ts";
import type { Schedule } from "./schedule.ts";
import { onAbort } from "./signal-listeners.ts";
import type { Source } from "./source-reader.ts";
import { sessionReadableStream } from "./web-output.ts";
import type { ReadableStreamOptions } from "./web-output.ts";
import { writeTo } from "./write-to.ts";
import type { WriteToOptions, WriteToResult } from "./write-to.ts";

/** What a session needs from its guard. */
export interface SessionHost {
  readonly bank: Bank;
  readonly reserveTimeoutMs: number;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** Tries to make room for `bytes` by closing idle sessions other than `asking`; false when there are none. */
  relieve(asking: StreamingSession, bytes: number): boolean;
  softLimit(session: StreamingSession): void;
  waited(session: StreamingSession, startedAt: number): void;
  closed(session: StreamingSession): void;
}

export interface SessionOptions {
  readonly id: string;
  readonly principal: string | undefined;
  readonly principalLedger: Ledger | undefined;
  readonly maxMemoryBytes: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface ReserveOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** One stream's, or one client's, share of the guard's memory. Made by `StreamGuard.open`. */
export class StreamingSession {
  readonly id: string;
  readonly principal: string | undefined;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly #host: SessionHost;
  readonly #account: Account;
  readonly #closeListeners = new Set<() => void>();
  readonly #readers = new Set<ReaderWatch>();
  #tenders: Set<(short: boolean) => void> | undefined;
  #controller: AbortController | undefined;
  readonly #unfollow: () => void;
  #closeReason: string | undefined;
  #closeError: SessionClosedError | undefined;
  #lastActive: number;
  #lastMoved: number;

  constructor(host: SessionHost, options: SessionOptions) {
    this.id = options.id;
    this.principal = options.principal;
    this.idleTimeoutMs = options.idleTimeoutMs;
    this.stallTimeoutMs = options.stallTimeoutMs;
    this.startTime = host.now();
    this.#lastActive = this.startTime;
    this.#lastMoved = this.startTime;
    this.#host = host;
    const { principal, principalLedger, maxMemoryBytes: limitBytes } = options;
    const budgets = { limitBytes, principal, principalLedger };
    this.#account = new Account(host.bank, options.id, budgets, () => {
      host.softLimit(this);
    });
    this.#unfollow = onAbort(options.signal, () => void this.close("aborted"));
  }

  get memoryUsageBytes(): number {
    return this.#account.usedBytes;
  }

  get maxMemoryBytes(): number {
    return this.#account.limitBytes;
  }

  get peakBytes(): number {
    return this.#account.peakBytes;
  }

  get closed(): boolean {
    return this.#closeReason !== undefined;
  }

  get closeReason(): string | undefined {
    return this.#closeReason;
  }

  /** Operations begun and not yet ended. */
  get operations(): number {
    return this.#account.operations;
  }

  /** Aborted when the session closes, with a SessionClosedError as its reason. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#closeReason !== undefined) this.#controller.abort(this.#closedError());
    }
    return this.#controller.signal;
  }

  /** Like the signal's `abort` event, at a fraction of its cost. Returns the function that stops listening. */
  onClose(listener: () => void): () => void {
    this.#closeListeners.add(fn("listener", listener));
    return () => void this.#closeListeners.delete(listener);
  }

  /**
   * Has `tend` called at every sweep, to give back what has expired, and with `true` as long as the guard is
   * at 70 % or beyond: then also what can be missed. Returns the function that ends it.
   */
  onTend(tend: (short: boolean) => void): () => void {
    this.#tenders ??= new Set();
    this.#tenders.add(fn("tend", tend));
    return () => void this.#tenders?.delete(tend);
  }

  /** For the guard. What is given back here is no sign of life. */
  tend(short: boolean): void {
    if (this.#tenders === undefined) return;
    const { moved } = this.#account;
    for (const tend of this.#tenders) {
      safely(() => {
        tend(short);
      });
    }
    this.#account.moved = moved;
  }

  /**
   * Milliseconds since the last completed operation, reservation or release; 0 while an operation is
   * under way. What happened is dated when this is asked (the guard asks at every sweep), so that a
   * reservation reads no clock.
   */
  idleForMs(now: number = this.#host.now()): number {
    if (this.#account.moved || this.#account.operations > 0) this.#lastActive = now;
    if (this.#account.moved) this.#lastMoved = now;
    this.#account.moved = false;
    return Math.max(0, now - this.#lastActive);
  }

  /** The same, but an operation under way does not count: only what it moved, or ended, or `touch`. */
  stillForMs(now: number = this.#host.now()): number {
    this.idleForMs(now);
    return Math.max(0, now - this.#lastMoved);
  }

  /**
   * Takes `bytes` before they are allocated.
   *
   * @throws MemoryLimitError when they do not fit; nothing is taken
   * @throws SessionClosedError
   */
  reserve(bytes: number): void {
    const refusal = this.#take(bytes);
    if (refusal !== undefined) throw this.#account.exceeded(refusal, bytes);
  }

  /** Like `reserve`, but says false instead of throwing MemoryLimitError. */
  tryReserve(bytes: number): boolean {
    return this.#take(bytes) === undefined;
  }

  /** Like `tryReserve`, but false also while others wait whose turn comes first. Streams take their memory so. */
  tryReserveInTurn(bytes: number): boolean {
    return !this.#account.mustWait && this.tryReserve(bytes);
  }

  /** Like `tryReserve`, but takes only what is free: no idle session has to give way. For what can be missed. */
  tryReserveSpare(bytes: number): boolean {
    return this.#take(bytes, true) === undefined;
  }

  /**
   * Waits until `bytes` fit: backpressure for a producer. First in, first out within the session; a
   * direct `reserve` does not queue.
   *
   * @throws MemoryLimitError after `timeoutMs`, or at once when they can never fit
   * @throws QueueFullError when too many already wait
   * @throws SessionClosedError, or the signal's reason
   */
  async reserveWhenAvailable(bytes: number, options: ReserveOptions = {}): Promise<void> {
    record("options", options);
    const { signal } = options;
    const timeoutMs = duration("timeoutMs", options.timeoutMs ?? this.#host.reserveTimeoutMs);
    checkBytes("bytes", bytes);
    abortSignal("signal", signal);
    signal?.throwIfAborted();
    this.#ensureOpen();
    const hopeless = this.#account.neverFits(bytes);
    if (hopeless !== undefined) throw this.#account.exceeded(hopeless, bytes);
    if (this.tryReserveInTurn(bytes)) return;
    const startedAt = this.#host.now();
    this.#account.operations += 1;
    this.#account.waits += 1;
    try {
      await this.#host.bank.queue.wait(this.#account, { bytes, timeoutMs, signal });
      // Closed in the turn in which it was granted: closing gave it back.
      this.#ensureOpen();
    } finally {
      this.#account.waits -= 1;
      this.#account.operations -= 1;
      this.#account.moved = true;
      this.#host.waited(this, startedAt);
    }
  }

  /**
   * Gives back what was reserved. After the session closed this does nothing: closing gave everything back.
   *
   * @throws OverReleaseError when more is released than is held; nothing changes
   */
  release(bytes: number): void {
    checkBytes("bytes", bytes);
    if (this.#closeReason === undefined) this.#account.give(bytes);
  }

  /** @throws MemoryLimitError when the session has no room left */
  checkMemoryLimit(): void {
    this.#ensureOpen();
    if (this.#account.refusal(1) === "session") throw this.#account.exceeded("session", 1);
  }

  /** Says that the session is in use. */
  touch(): void {
    this.#lastActive = this.#host.now();
    this.#lastMoved = this.#lastActive;
  }

  /** Marks an operation as under way until it is disposed: cleanup leaves the session alone meanwhile. */
  begin(): Disposable {
    this.#ensureOpen();
    this.#account.begin();
    let ended = false;
    return {
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        this.#account.operations -= 1;
        this.#account.moved = true;
      },
    };
  }

  /**
   * Has the session closed when `reader` takes nothing for `stallTimeoutMs` while bytes wait for it, and
   * sooner under pressure. `writeTo`, `pipe`, `guardResponse` and `guardTransport` do this by themselves.
   * The returned function ends it.
   */
  watchReader(reader: Reader): () => void {
    this.#ensureOpen();
    const watch = new ReaderWatch(reader);
    this.#readers.add(watch);
    return () => void this.#readers.delete(watch);
  }

  /** The longest stall of its readers. For the guard, whose clock this is. */
  lookAtReaders(clockMs: number): Stall | undefined {
    let longest: Stall | undefined;
    for (const reader of this.#readers) {
      const stall = reader.look(clockMs);
      if (stall !== undefined && !(stall.stalledMs <= (longest?.stalledMs ?? -1))) longest = stall;
    }
    return longest;
  }

  /**
   * The source's chunks as bytes, each charged from its arrival until the consumer asks for the next.
   * A chunk that finds no room waits for it (`reserveTimeoutMs`); a failure closes the session.
   */
  pipe(source: Source): PipedBatches {
    this.#ensureOpen();
    return new PipedBatches(this, this.#account, source);
  }

  /**
   * Like `pipe`, as a Node stream of bytes that reads nothing ahead. Destroying it destroys the source; what
   * fails the source, and the end of the session, destroys it with that error.
   */
  readable(source: Source): Readable {
    this.#ensureOpen();
    return new SessionReadable(this, this.#account, source);
  }

  /** Like `readable`, as a web stream: cancelling it destroys the source. */
  readableStream(source: Source, options: ReadableStreamOptions = {}): ReadableStream<Uint8Array> {
    this.#ensureOpen();
    return sessionReadableStream(this, this.#account, source, options);
  }

  /**
   * Writes the source to `writable`, waiting for it to drain; each chunk is charged until the writable
   * has handed it on. A failure destroys both ends and closes the session.
   *
   * @throws DrainTimeoutError when nothing is accepted for `drainTimeoutMs`
   * @throws DestinationClosedError, MemoryLimitError, SessionClosedError, or the signal's reason
   */
  async writeTo(
    writable: Writable | WritableStream<Uint8Array>,
    source: Source,
    options: WriteToOptions = {},
  ): Promise<WriteToResult> {
    this.#ensureOpen();
    return writeTo(this, writable, source, options, {
      account: this.#account,
      schedule: this.#host.schedule,
    });
  }

  /** Gives everything back, destroys sources under way and rejects what waits, with `error` if given. Idempotent. */
  async close(reason = "closed", error?: SessionClosedError): Promise<void> {
    if (this.#closeReason !== undefined) return;
    // Closing never fails, whatever it is given.
    this.#closeReason = typeof (reason as unknown) === "string" ? reason : "closed";
    this.#closeError = error;
    this.#readers.clear();
    this.#tenders = undefined;
    this.#unfollow();
    this.#host.bank.queue.close(this.#account, () => this.#closedError());
    this.#account.give(this.#account.usedBytes);
    this.#controller?.abort(this.#closedError());
    for (const listener of this.#closeListeners) safely(listener);
    this.#closeListeners.clear();
    this.#host.closed(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(bytes: number, spare = false): Refusal | undefined {
    checkBytes("bytes", bytes);
    this.#ensureOpen();
    let refusal = this.#account.refusal(bytes);
    const guards = refusal === "guard" || refusal === "headroom";
    if (guards && !spare && this.#host.relieve(this, bytes)) {
      this.#ensureOpen();
      refusal = this.#account.refusal(bytes);
    }
    if (refusal !== undefined) return refusal;
    this.#account.take(bytes);
    // What waits of this session may now be its own limit's matter, and no longer in the way of others.
    const { queue } = this.#host.bank;
    if (queue.size > 0) queue.serve(this.#account);
    return undefined;
  }

  #ensureOpen(): void {
    if (this.#closeReason !== undefined) throw this.#closedError();
  }

  #closedError(): SessionClosedError {
    return this.#closeError ?? new SessionClosedError(this.id, this.#closeReason ?? "closed");
  }
}
