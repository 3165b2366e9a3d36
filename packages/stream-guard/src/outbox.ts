import type { Writable } from "node:stream";
import { afterAdapterStart } from "./adapter-turn.ts";
import { expectListeners } from "./drain-listeners.ts";
import { QueueFullError } from "./errors.ts";
import { InTransit } from "./in-transit.ts";
import type { StreamingSession } from "./streaming-session.ts";
import { WritableReader } from "./writable-reader.ts";

/** Room for what a transport adds around a message: SSE fields, an event id, chunked framing. */
const FRAME_BYTES = 256;

export interface OutboxOptions {
  readonly destination: Writable | undefined;
  readonly sendTimeoutMs: number | undefined;
  readonly maxWaiting: number;
  /** Responses through which the transport writes, as far as they can be seen. */
  readonly responses: ReadonlySet<{ readonly headersSent: boolean }>;
}

/** Sends messages in order, each within the session's memory: one that finds no room waits for it. */
export class Outbox {
  readonly inTransit: InTransit;
  readonly #session: StreamingSession;
  readonly #options: OutboxOptions;
  readonly #reader: WritableReader | undefined;
  #waiting = 0;
  #waitingBytes = 0;
  #tail: Promise<unknown> = Promise.resolve();
  /** Sent messages that leave with the destination's next drain. */
  readonly #undrained: (() => void)[] = [];

  constructor(session: StreamingSession, options: OutboxOptions) {
    this.#session = session;
    this.#options = options;
    this.inTransit = InTransit.of(session);
    if (options.destination === undefined) return;
    this.#reader = new WritableReader(options.destination);
    session.watchReader(this.#reader);
    const most = Math.ceil(session.maxMemoryBytes / FRAME_BYTES);
    session.onClose(expectListeners(options.destination, most));
  }

  /** Bytes that sending `message` takes. */
  cost(message: unknown): number {
    return Buffer.byteLength(JSON.stringify(message)) + FRAME_BYTES;
  }

  /**
   * Calls `send` once there is room for `bytes`, and charges them until they have left.
   *
   * @throws MemoryLimitError, QueueFullError, SessionClosedError, or what `send` throws
   */
  async post(bytes: number, send: () => Promise<void>): Promise<void> {
    if (this.#waiting === 0 && this.#session.tryReserveInTurn(bytes))
      return this.#dispatch(bytes, send);
    const { maxWaiting } = this.#options;
    const waitingBytes = this.#waitingBytes + bytes;
    if (this.#waiting >= maxWaiting || waitingBytes > this.#session.maxMemoryBytes)
      throw new QueueFullError(`messages of session ${this.#session.id}`, this.#waiting);
    const turn = this.#tail.then(() => this.#dispatchLater(bytes, send));
    this.#waiting += 1;
    this.#waitingBytes = waitingBytes;
    this.#tail = turn.catch(() => {});
    const { sent } = await turn;
    await sent;
  }

  /** Ends with the sending begun, not done: the next in line must not wait for it. */
  async #dispatchLater(
    bytes: number,
    send: () => Promise<void>,
  ): Promise<{ readonly sent: Promise<void> }> {
    const { sendTimeoutMs } = this.#options;
    try {
      const options = sendTimeoutMs === undefined ? {} : { timeoutMs: sendTimeoutMs };
      await this.#session.reserveWhenAvailable(bytes, options);
    } finally {
      this.#waiting -= 1;
      this.#waitingBytes -= bytes;
    }
    return { sent: this.#dispatch(bytes, send) };
  }

  /** Ends with the session at the latest: a send over a pipe that closed before it drained never settles. */
  async #dispatch(bytes: number, send: () => Promise<void>): Promise<void> {
    const leave = this.inTransit.add(bytes);
    const over = Promise.withResolvers<void>();
    const forget = this.#session.onClose(() => {
      over.reject(this.#session.signal.reason);
    });
    const end = (): void => {
      forget();
      this.#whenLeft(leave);
    };
    try {
      this.#reader?.observe();
      const sent = send();
      this.#reader?.observe();
      sent.finally(end).then(over.resolve, over.reject);
    } catch (error) {
      end();
      throw error;
    }
    return over.promise;
  }

  /** Calls `leave` when what was sent is flushed, or has reached a response, which then charges it. */
  #whenLeft(leave: () => void): void {
    const { destination, responses } = this.#options;
    if (destination?.writableNeedDrain === true && !destination.destroyed)
      this.#whenDrained(destination, leave);
    else if (responses.size === 0) leave();
    else if ([...responses].every(({ headersSent }) => headersSent)) setImmediate(leave);
    else afterAdapterStart(leave);
  }

  #whenDrained(destination: Writable, leave: () => void): void {
    this.#undrained.push(leave);
    if (this.#undrained.length > 1) return;
    const flush = (): void => {
      destination.off("drain", flush).off("close", flush);
      for (const leaveNow of this.#undrained.splice(0)) leaveNow();
    };
    destination.on("drain", flush).on("close", flush);
  }
}
