import type { IncomingMessage } from "node:http";
import { UploadStalledError } from "./errors.ts";
import type { GrowingBuffer } from "./growing-buffer.ts";
import type { Reader } from "./reader.ts";
import type { StreamingSession } from "./streaming-session.ts";

/**
 * Reads a request's body into a buffer, an operation of its session for as long as it makes progress. One that
 * stalls is given up after the session's `stallTimeoutMs`, under pressure sooner, and gives back what it holds.
 */
export class BodyReader {
  readonly #request: IncomingMessage;
  readonly #session: StreamingSession;
  readonly #buffer: GrowingBuffer;
  readonly #over = Promise.withResolvers<void>();
  /** A wait for room must not outlast the reading. */
  readonly #abandon = new AbortController();
  #receivedBytes = 0;
  /** For room, while the request is paused: its client has no part in that. */
  #waits = false;
  #ended = false;

  constructor(request: IncomingMessage, session: StreamingSession, buffer: GrowingBuffer) {
    this.#request = request;
    this.#session = session;
    this.#buffer = buffer;
  }

  /**
   * @throws UploadStalledError, MessageTooLargeError, MemoryLimitError, QueueFullError, SessionClosedError, or
   *   what failed the request
   */
  async read(): Promise<void> {
    const request = this.#request;
    const operation = this.#session.begin();
    const unfollow = this.#session.onClose(() => {
      this.#over.reject(this.#session.signal.reason);
    });
    const unwatch = this.#session.watchReader(this.#uploader);
    request.on("error", this.#over.reject).on("end", this.#onEnd).on("close", this.#onClose);
    if (request.readableEnded) this.#onEnd();
    else if (request.destroyed) this.#onClose();
    else request.on("data", this.#onData);
    try {
      await this.#over.promise;
    } finally {
      request.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
      request.pause();
      this.#abandon.abort();
      unwatch();
      unfollow();
      operation[Symbol.dispose]();
    }
  }

  /** Who has sent nothing yet is waited for too. */
  readonly #uploader: Reader = {
    heldBytes: () => (this.#waits ? 0 : Math.max(1, this.#buffer.capacityBytes)),
    taken: () => this.#receivedBytes,
    giveUp: ({ stalledMs }) => {
      this.#buffer.clear();
      this.#over.reject(new UploadStalledError(this.#receivedBytes, stalledMs));
    },
  };

  readonly #onData = (part: Buffer): void => {
    this.#receivedBytes += part.length;
    try {
      if (this.#buffer.append(part)) return;
    } catch (error) {
      this.#over.reject(error);
      return;
    }
    this.#waits = true;
    this.#request.pause();
    void this.#appendLater(part);
  };

  async #appendLater(part: Buffer): Promise<void> {
    try {
      await this.#buffer.appendWhenAvailable(part, this.#abandon.signal);
      this.#waits = false;
      if (this.#ended) this.#over.resolve();
      else this.#request.resume();
    } catch (error) {
      this.#over.reject(error);
    }
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    if (!this.#waits) this.#over.resolve();
  };

  readonly #onClose = (): void => {
    if (!this.#ended) this.#over.reject(new Error("the request was cut off"));
  };
}
