import { StoreError } from "./errors.ts";
import type { ConnectionOptions, ConnectionUse } from "./redis-connection.ts";
import { RedisConnection } from "./redis-connection.ts";

const firstDelayMs = 50;
const longestDelayMs = 2_000;

export interface LinkOptions extends ConnectionOptions {
  readonly random: () => number;
}

export interface LinkUse extends Omit<ConnectionUse, "lost"> {
  readonly up: (connection: RedisConnection) => void;
  /** Also called when an attempt to connect failed. */
  readonly down: (error: Error) => void;
}

/** One connection after the other, with growing, randomly shortened pauses between attempts. */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #use: LinkUse;
  #latest: RedisConnection | undefined;
  #current: RedisConnection | undefined;
  #attempt: Promise<RedisConnection> | undefined;
  #failures = 0;
  #reason: Error | undefined;
  #timer: unknown;
  #closed = false;

  constructor(options: LinkOptions, use: LinkUse) {
    this.#options = options;
    this.#use = use;
    this.#try();
  }

  get current(): RedisConnection | undefined {
    return this.#current;
  }

  /** The connection, or the first attempt at one; while a link that failed is being mended it rejects at once. */
  async connection(): Promise<RedisConnection> {
    if (this.#current !== undefined) return this.#current;
    if (this.#attempt !== undefined && this.#failures === 0) return this.#attempt;
    throw new StoreError("there is no connection to Redis", {
      reason: "unavailable",
      cause: this.#reason,
    });
  }

  close(): void {
    this.#closed = true;
    this.#options.timers.clear(this.#timer);
    this.#reason = new StoreError("the Redis store is closed", { reason: "closed" });
    this.#latest?.drop(this.#reason);
  }

  #try(): void {
    const lost = (error: Error): void => this.#lost(error);
    try {
      const connection = new RedisConnection(this.#options, { ...this.#use, lost });
      this.#latest = connection;
      this.#attempt = connection.open().then(() => {
        this.#attempt = undefined;
        this.#current = connection;
        this.#use.up(connection);
        return connection;
      });
      this.#attempt.catch(() => {});
    } catch (error) {
      this.#lost(error instanceof Error ? error : new StoreError(String(error)));
    }
  }

  /** Once for every attempt, whether it became a connection or not. */
  #lost(error: Error): void {
    this.#failures = this.#latest?.proven === true ? 1 : this.#failures + 1;
    this.#latest = undefined;
    this.#attempt = undefined;
    this.#current = undefined;
    if (this.#closed) return;
    this.#reason = error;
    const { random, timers } = this.#options;
    const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(10, this.#failures - 1));
    this.#timer = timers.set(() => this.#try(), delayMs * (0.5 + 0.5 * random()));
    this.#use.down(error);
  }
}
