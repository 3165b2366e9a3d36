import type { Account } from "./account.ts";
import { pinnedBytes } from "./chunk-size.ts";
import type { Chunk } from "./chunk-size.ts";
import { SourceReader } from "./source-reader.ts";
import type { ChunkReceiver, Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";
import { failureReason } from "./write-to.ts";

type Result = IteratorResult<Uint8Array[], undefined>;

const encoder = new TextEncoder();

/**
 * See `StreamingSession.pipe`. Written by hand, because an async generator around the source costs
 * more than everything else here. The source is destroyed with the session, also before the first read.
 */
export class PipedBatches implements AsyncIterableIterator<Uint8Array[], undefined, void> {
  readonly #session: StreamingSession;
  readonly #account: Account;
  readonly #reader: SourceReader;
  #pending: PromiseWithResolvers<Result> | undefined;
  #heldBytes = 0;
  #reads = 0;
  #finished = false;
  /** From a read until its chunk is delivered: an operation of the session. */
  #atWork = false;
  #unpark: () => void = nothing;
  readonly #unwatch: () => void;

  constructor(session: StreamingSession, account: Account, source: Source) {
    this.#session = session;
    this.#account = account;
    this.#reader = new SourceReader(source);
    session.signal.addEventListener("abort", this.#onSessionClose, { once: true });
    this.#unwatch = session.watchReader({
      heldBytes: () => (account.operations === 0 ? this.#heldBytes : 0),
      taken: () => this.#reads,
      wait: () => "holding",
    });
  }

  next(): Promise<Result> {
    if (this.#pending !== undefined) return this.#afterPending(this.#pending.promise);
    this.#release();
    this.#reads += 1;
    if (this.#finished) return Promise.resolve({ done: true, value: undefined });
    const pending = Promise.withResolvers<Result>();
    this.#pending = pending;
    this.#account.begin();
    this.#atWork = true;
    if (this.#account.paused) this.#unpark = this.#account.park(this.#read);
    else this.#read();
    return pending.promise;
  }

  async return(): Promise<Result> {
    this.#finish();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#finish();
  }

  async #afterPending(pending: Promise<Result>): Promise<Result> {
    await pending.catch(() => {});
    return this.next();
  }

  readonly #read = (): void => {
    this.#unpark = nothing;
    this.#reader.read(this.#receiver);
  };

  readonly #receiver: ChunkReceiver = {
    onChunk: (chunk) => {
      if (chunk === undefined) this.#finish();
      else this.#admit(chunk);
    },
    onFailure: (reason) => {
      this.#fail(reason);
    },
  };

  #admit(chunk: Chunk): void {
    try {
      const bytes = pinnedBytes(chunk);
      if (this.#session.tryReserveInTurn(bytes)) this.#deliver(chunk, bytes);
      else void this.#deliverLater(chunk, bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #deliverLater(chunk: Chunk, bytes: number): Promise<void> {
    try {
      await this.#session.reserveWhenAvailable(bytes);
      this.#deliver(chunk, bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  #deliver(chunk: Chunk, bytes: number): void {
    this.#endOperation();
    this.#heldBytes = bytes;
    const value = [typeof chunk === "string" ? encoder.encode(chunk) : chunk];
    if (this.#finished) this.#release();
    else this.#takePending()?.resolve({ done: false, value });
  }

  #fail(reason: unknown): void {
    if (this.#finished) return;
    const pending = this.#takePending();
    this.#finish();
    void this.#session.close(failureReason(reason));
    pending?.reject(reason);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#endOperation();
    this.#unpark();
    this.#unwatch();
    this.#session.signal.removeEventListener("abort", this.#onSessionClose);
    this.#release();
    this.#takePending()?.resolve({ done: true, value: undefined });
    this.#reader.destroy(undefined);
  }

  #release(): void {
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    this.#session.release(bytes);
  }

  #endOperation(): void {
    if (!this.#atWork) return;
    this.#atWork = false;
    this.#account.operations -= 1;
    this.#account.moved = true;
  }

  #takePending(): PromiseWithResolvers<Result> | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  readonly #onSessionClose = (): void => {
    this.#reader.destroy(this.#session.signal.reason);
  };
}

function nothing(): void {}
