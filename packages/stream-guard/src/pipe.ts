import type { Account } from "./account.ts";
import { ChargedReader } from "./charged-reader.ts";
import type { Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

type Result = IteratorResult<Uint8Array[], undefined>;

/**
 * See `StreamingSession.pipe`. Written by hand, because an async generator around the source costs
 * more than everything else here.
 */
export class PipedBatches implements AsyncIterableIterator<Uint8Array[], undefined, void> {
  readonly #session: StreamingSession;
  readonly #reader: ChargedReader;
  /** One read at a time is under way; its promise is settled through these. */
  #pending: Promise<Result> | undefined;
  #resolve: (result: Result) => void = nothing;
  #reject: (reason: unknown) => void = nothing;
  /** Happened while nobody asked: the next who asks hears of it. */
  #failure: { readonly reason: unknown } | undefined;
  #heldBytes = 0;
  #finished = false;

  constructor(session: StreamingSession, account: Account, source: Source) {
    this.#session = session;
    this.#reader = new ChargedReader(session, account, source, {
      heldBytes: () => this.#heldBytes,
      onChunk: this.#onChunk,
      onFailure: this.#onFailure,
    });
  }

  next(): Promise<Result> {
    if (this.#pending !== undefined) return this.#afterPending(this.#pending);
    this.#release();
    if (this.#finished) return this.#afterEnd();
    const pending = new Promise<Result>(this.#keep);
    this.#pending = pending;
    this.#reader.read();
    return pending;
  }

  async return(): Promise<Result> {
    this.#failure = undefined;
    this.#finish();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #afterPending(pending: Promise<Result>): Promise<Result> {
    await pending.catch(() => {});
    return this.next();
  }

  async #afterEnd(): Promise<Result> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.reason;
    return { done: true, value: undefined };
  }

  readonly #onChunk = (chunk: Uint8Array | undefined, bytes: number): void => {
    if (chunk === undefined) this.#finish();
    else {
      this.#heldBytes = bytes;
      this.#pending = undefined;
      this.#resolve({ done: false, value: [chunk] });
    }
  };

  readonly #onFailure = (reason: unknown): void => {
    if (this.#pending === undefined) this.#failure = { reason };
    else this.#reject(reason);
    this.#finish();
  };

  #finish(): void {
    this.#finished = true;
    this.#release();
    this.#pending = undefined;
    this.#resolve({ done: true, value: undefined });
    this.#resolve = nothing;
    this.#reject = nothing;
    this.#reader.stop();
  }

  #release(): void {
    const bytes = this.#heldBytes;
    if (bytes === 0) return;
    this.#heldBytes = 0;
    this.#session.release(bytes);
  }

  /** The same function for every promise: a closure for each costs a tenth of all. */
  readonly #keep = (resolve: (result: Result) => void, reject: (reason: unknown) => void): void => {
    this.#resolve = resolve;
    this.#reject = reject;
  };
}

function nothing(): void {}
