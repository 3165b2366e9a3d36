import type { Account } from "./account.ts";
import { pinnedBytes } from "./chunk-size.ts";
import type { Chunk } from "./chunk-size.ts";
import { failureReason } from "./failure-reason.ts";
import { SourceReader } from "./source-reader.ts";
import type { ChunkReceiver, Source } from "./source-reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

/** Gets chunks that are reserved already; releasing them is up to the receiver. */
export interface ChargedReceiver {
  /** Bytes received and not yet released. */
  readonly heldBytes: () => number;
  /** Undefined at the end. */
  readonly onChunk: (chunk: Uint8Array | undefined, bytes: number) => void;
  /** The source failed, found no room, or lost its session: also when nothing is being read. */
  readonly onFailure: (reason: unknown) => void;
}

const encoder = new TextEncoder();

/**
 * Reads a source chunk by chunk for a session, and reserves each before it is handed over. A failure
 * closes the session; the source is destroyed with the session, also before the first read.
 */
export class ChargedReader {
  readonly #session: StreamingSession;
  readonly #account: Account;
  readonly #reader: SourceReader;
  readonly #receiver: ChargedReceiver;
  readonly #unwatch: () => void;
  readonly #unfollow: () => void;
  #reads = 0;
  #stopped = false;
  /** From a read until its chunk is delivered: an operation of the session. */
  #atWork = false;
  #unpark: () => void = nothing;
  /** Who stops must not keep its place among those who wait for room. */
  #wait: AbortController | undefined;

  /** @throws InvalidArgumentError when `source` is none of the supported kinds */
  constructor(
    session: StreamingSession,
    account: Account,
    source: Source,
    receiver: ChargedReceiver,
  ) {
    this.#session = session;
    this.#account = account;
    this.#receiver = receiver;
    this.#reader = new SourceReader(source);
    this.#unfollow = session.onClose(this.#onSessionClose);
    this.#unwatch = session.watchReader({
      heldBytes: () => (account.operations === 0 ? receiver.heldBytes() : 0),
      taken: () => this.#reads,
      wait: () => "holding",
    });
  }

  /** Reads one chunk; the reader asks for it, so that what it had before is taken. One read at a time. */
  read(): void {
    this.#reads += 1;
    this.#account.begin();
    this.#atWork = true;
    if (this.#account.paused) this.#unpark = this.#account.park(this.#read);
    else this.#read();
  }

  /** Destroys the source and hears no more of it. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#endOperation();
    this.#unpark();
    this.#wait?.abort();
    this.#unwatch();
    this.#unfollow();
    this.#reader.destroy(undefined);
  }

  readonly #read = (): void => {
    this.#unpark = nothing;
    this.#reader.read(this.#onRead);
  };

  readonly #onRead: ChunkReceiver = {
    onChunk: (chunk) => {
      if (chunk === undefined) this.#end();
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
    this.#wait = new AbortController();
    try {
      await this.#session.reserveWhenAvailable(bytes, { signal: this.#wait.signal });
      this.#deliver(chunk, bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  #deliver(chunk: Chunk, bytes: number): void {
    this.#endOperation();
    if (this.#stopped) this.#session.release(bytes);
    else this.#receiver.onChunk(typeof chunk === "string" ? encoder.encode(chunk) : chunk, bytes);
  }

  #end(): void {
    if (this.#stopped) return;
    this.stop();
    this.#receiver.onChunk(undefined, 0);
  }

  #fail(reason: unknown): void {
    if (this.#stopped) return;
    this.stop();
    void this.#session.close(failureReason(reason));
    this.#receiver.onFailure(reason);
  }

  #endOperation(): void {
    if (!this.#atWork) return;
    this.#atWork = false;
    this.#account.operations -= 1;
    this.#account.moved = true;
  }

  readonly #onSessionClose = (): void => {
    this.#fail(this.#session.signal.reason);
  };
}

function nothing(): void {}
