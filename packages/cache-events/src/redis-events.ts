import { StoreError } from "./errors.ts";
import type { RedisConnection } from "./redis-connection.ts";
import type { LinkOptions } from "./redis-link.ts";
import { RedisLink } from "./redis-link.ts";
import type { StreamEntry } from "./redis-stream.ts";
import { isBefore, readAfter, readLast } from "./redis-stream.ts";

export type Listener = (event: string) => unknown;

export interface EventsOptions extends LinkOptions {
  readonly stream: string;
  /** Whose events are its own and not to be heard. */
  readonly origin: string;
  /** Called before an event is heard, with the fences that it moved. */
  readonly moved: (fences: readonly string[]) => void;
  readonly gap: (reason: string) => void;
  readonly down: (error: Error) => void;
}

const blockMs = 1_000;
const start = "0-0";

/** Follows the stream of events on a connection of its own, for as long as somebody listens. */
export class RedisEvents {
  readonly #options: EventsOptions;
  readonly #listeners = new Set<{ readonly hear: Listener }>();
  #link: RedisLink | undefined;
  /** `undefined` until the stream was seen: what is in it then is history. */
  #lastId: string | undefined;
  #number: number | undefined;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  listen(hear: Listener): Disposable {
    const listener = { hear };
    this.#listeners.add(listener);
    this.#link ??= this.#follow();
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.close();
      },
    };
  }

  /** Resolves once events are heard; at once when nobody listens. */
  async ready(): Promise<void> {
    const connection = await this.#link?.connection();
    if (connection !== undefined && this.#lastId === undefined) await this.#resume(connection);
  }

  close(): void {
    this.#link?.close();
    this.#link = undefined;
    this.#lastId = undefined;
    this.#number = undefined;
  }

  #follow(): RedisLink {
    const link: RedisLink = new RedisLink(this.#options, {
      heartbeat: false,
      up: (connection) => {
        connection.unref();
        this.#run(connection).catch((error: unknown) => connection.drop(error));
      },
      down: this.#options.down,
    });
    return link;
  }

  async #run(connection: RedisConnection): Promise<void> {
    await this.#watched(connection, this.#resume(connection));
    while (this.#link?.current === connection) {
      const after = this.#lastId ?? start;
      const { stream } = this.#options;
      const entries = await this.#watched(
        connection,
        readAfter(connection, stream, after, blockMs),
      );
      if (this.#link?.current !== connection) return;
      if (entries.length > 0) await this.#hear(entries);
      else await this.#watched(connection, this.#resume(connection));
    }
  }

  /** Takes its place in the stream, and notices when the stream is not the one that it followed. */
  async #resume(connection: RedisConnection): Promise<void> {
    const last = await readLast(connection, this.#options.stream);
    if (this.#lastId === undefined) {
      this.#lastId = last?.id ?? start;
      this.#number = last?.number;
    } else if (last === undefined) {
      if (this.#lastId !== start) this.#gap("the stream is gone", start, undefined);
    } else if (isBefore(last.id, this.#lastId)) {
      this.#gap("the stream begins anew", last.id, last.number);
    }
  }

  async #hear(entries: readonly StreamEntry[]): Promise<void> {
    const heard: Promise<void>[] = [];
    for (const { id, number, origin, fences, event } of entries) {
      const next = this.#number === undefined ? number : this.#number + 1;
      if (number !== next) this.#options.gap(`event ${next} is missing`);
      this.#lastId = id;
      this.#number = Number.isNaN(number) ? undefined : number;
      if (origin === this.#options.origin || Number.isNaN(number)) continue;
      this.#options.moved(fences);
      for (const { hear } of this.#listeners) heard.push(call(hear, event));
    }
    // No more is read before these are done: a listener that is slow fills the stream, not this process.
    await Promise.all(heard);
  }

  #gap(reason: string, lastId: string, number: number | undefined): void {
    this.#lastId = lastId;
    this.#number = number;
    this.#options.gap(reason);
  }

  /** A link that is half open answers nothing; the server always does, within `blockMs`. */
  async #watched<T>(connection: RedisConnection, answer: Promise<T>): Promise<T> {
    const { timers, leaseMs } = this.#options;
    const limitMs = blockMs + leaseMs;
    const timer = timers.set(
      () =>
        connection.drop(
          new StoreError(`Redis did not answer for ${limitMs} ms`, { reason: "timeout" }),
        ),
      limitMs,
    );
    try {
      return await answer;
    } finally {
      timers.clear(timer);
    }
  }
}

async function call(hear: Listener, event: string): Promise<void> {
  try {
    await hear(event);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.emitWarning(`a listener of the store's events threw: ${reason}`, {
      type: "CacheEventsWarning",
      code: "CACHE_LISTENER",
    });
  }
}
