import type { Account } from "./account.ts";
import { PinnedBuffers } from "./chunk-size.ts";
import type { Chunk } from "./chunk-size.ts";
import type { Destination } from "./destination.ts";
import { DestinationClosedError, DrainTimeoutError } from "./errors.ts";
import { safely } from "./safe-emit.ts";
import type { Schedule } from "./schedule.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface SinkOptions {
  readonly drainTimeoutMs: number;
  readonly schedule: Schedule;
  readonly onFailure: (reason: unknown) => void;
}

/** At the destination within `drainTimeoutMs`: what it took is noticed at most one look late. */
const LOOKS = 4;

/** A destination whose buffer is charged to a session: each chunk until the destination has handed it on. */
export class Sink {
  bytes = 0;
  chunks = 0;
  readonly #session: StreamingSession;
  readonly #destination: Destination;
  readonly #options: SinkOptions;
  readonly #pinned = new PinnedBuffers();
  readonly #unwatch: () => void;
  #outstanding = 0;
  #handedOn = 0;
  #failure: { readonly reason: unknown } | undefined;
  #waiting:
    | { readonly done: () => boolean; readonly deferred: PromiseWithResolvers<void> }
    | undefined;
  #cancelTimeout: () => void = nothing;
  #endPause: () => void = nothing;
  #wait: AbortController | undefined;

  constructor(session: StreamingSession, destination: Destination, options: SinkOptions) {
    this.#session = session;
    this.#destination = destination;
    this.#options = options;
    destination.listen({
      onProgress: this.#onProgress,
      onError: this.#onError,
      onClose: this.#onClose,
    });
    this.#unwatch = session.watchReader({
      heldBytes: () => (this.#outstanding === 0 ? 0 : Math.max(1, destination.bufferedBytes)),
      taken: () => this.#handedOn + destination.takenBytes,
      wait: () => destination.wait,
    });
    if (destination.gone) this.#onClose();
  }

  /** Resolves when the destination is ready for more. */
  async write(chunk: Chunk): Promise<void> {
    const cost = this.#pinned.cost(chunk);
    // A buffer that is charged already must not wait: it may be handed on, and given back, meanwhile.
    if (cost === 0) this.#session.tryReserve(0);
    else if (!this.#session.tryReserveInTurn(cost)) await this.#reserve(cost);
    if (this.#failure !== undefined) throw this.#failure.reason;
    const free = this.#pinned.hold(chunk);
    this.#outstanding += 1;
    this.#hand(chunk, () => {
      this.#outstanding -= 1;
      this.#handedOn += 1;
      this.#session.release(free());
      this.#onProgress();
    });
    this.bytes += Buffer.byteLength(chunk);
    this.chunks += 1;
    if (this.#destination.needsDrain) await this.#until(() => !this.#destination.needsDrain);
  }

  /** Who fails must not keep its place among those who wait for room. */
  async #reserve(bytes: number): Promise<void> {
    this.#wait = new AbortController();
    if (this.#failure !== undefined) throw this.#failure.reason;
    await this.#session.reserveWhenAvailable(bytes, { signal: this.#wait.signal });
    // Granted in the turn in which it failed: nobody else would give it back.
    if (this.#failure !== undefined) this.#session.release(bytes);
  }

  /** Resolves when the source may be read again, or when this has failed. */
  async pause(account: Account): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = account.park(resolve);
    this.#endPause = () => {
      cancel();
      resolve();
    };
    await promise;
    this.#endPause = nothing;
  }

  /** Resolves when everything written, and the end, has been handed on. */
  async finish(end: boolean): Promise<void> {
    if (end) this.#destination.end();
    await this.#until(() => this.#outstanding === 0 && (!end || this.#destination.finished));
  }

  /** Destroys the destination, and with it what it still buffers. Only the first reason counts. */
  fail(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    this.#settle()?.reject(reason);
    this.#endPause();
    this.#wait?.abort(reason);
    this.#options.onFailure(reason);
    safely(() => this.#destination.destroy(reason));
  }

  detach(): void {
    this.#unwatch();
    this.#destination.unlisten();
  }

  /** `handedOn` is called once, whatever a destination of one's own does. */
  #hand(chunk: Chunk, handedOn: () => void): void {
    let called = false;
    try {
      this.#destination.write(chunk, () => {
        if (!called) handedOn();
        called = true;
      });
    } catch (cause) {
      throw new DestinationClosedError({ cause });
    }
  }

  #until(done: () => boolean): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (done()) return Promise.resolve();
    const deferred = Promise.withResolvers<void>();
    this.#waiting = { done, deferred };
    this.#armTimeout();
    return deferred.promise;
  }

  #armTimeout(): void {
    this.#await(LOOKS, this.#destination.takenBytes);
  }

  /** A part of a large chunk is progress too, and no event tells of it: so it is looked for. */
  #await(looksLeft: number, takenBefore: number): void {
    const { drainTimeoutMs, schedule } = this.#options;
    this.#cancelTimeout();
    this.#cancelTimeout = schedule(() => {
      const { takenBytes } = this.#destination;
      if (takenBytes !== takenBefore) this.#await(LOOKS, takenBytes);
      else if (looksLeft > 1) this.#await(looksLeft - 1, takenBytes);
      else this.fail(new DrainTimeoutError(drainTimeoutMs));
    }, drainTimeoutMs / LOOKS);
  }

  #settle(): PromiseWithResolvers<void> | undefined {
    const deferred = this.#waiting?.deferred;
    this.#waiting = undefined;
    this.#cancelTimeout();
    return deferred;
  }

  readonly #onProgress = (): void => {
    if (this.#waiting === undefined) return;
    if (this.#waiting.done()) this.#settle()?.resolve();
    else this.#armTimeout();
  };

  readonly #onError = (cause: unknown): void => {
    this.fail(new DestinationClosedError({ cause }));
  };

  readonly #onClose = (): void => {
    const finished = this.#destination.finished && this.#outstanding === 0;
    if (!finished || this.#waiting === undefined) this.fail(new DestinationClosedError());
  };
}

function nothing(): void {}
