import { randomUUID } from "node:crypto";
import { checkOptions, having, integer, number, typed } from "./checks.ts";
import type { Check } from "./checks.ts";
import { systemClock } from "./clock.ts";
import { CacheOptionError } from "./errors.ts";
import type { RedisClientLike } from "./redis-client.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { RedisEvents } from "./redis-events.ts";
import type { Listener } from "./redis-events.ts";
import { RedisKeys } from "./redis-keys.ts";
import { RedisLink } from "./redis-link.ts";
import type { LinkOptions } from "./redis-link.ts";
import { RedisMirror } from "./redis-mirror.ts";
import { isReply, moveFences } from "./redis-script.ts";
import { isFence } from "./shared-store.ts";
import type { MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";
import { systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";

/** What happens to a store's connections; for logs. */
export type RedisReport =
  | { readonly type: "up"; readonly link: "fences" | "events" }
  | { readonly type: "down"; readonly link: "fences" | "events"; readonly error: Error }
  /** Events of other processes may have been missed. */
  | { readonly type: "gap"; readonly reason: string };

export interface RedisStoreOptions {
  /** A client of node-redis; it is duplicated, not used. It need not be connected. */
  readonly client: RedisClientLike;
  /** Begins every key in Redis. Default `cache-events:`, after the client's own `keyPrefix`. */
  readonly prefix?: string;
  /** Milliseconds for which an answer vouches for the link. Default 3,000. */
  readonly leaseMs?: number;
  /** Milliseconds for one attempt to connect. Default 2,000. */
  readonly connectTimeoutMs?: number;
  /** Commands that may wait for an answer; more are refused. Default 10,000. */
  readonly maxPending?: number;
  /** Fences that this process remembers. Default 100,000. */
  readonly maxFences?: number;
  /** About how many events the stream keeps. Default 10,000. */
  readonly maxEvents?: number;
  readonly onReport?: (report: RedisReport) => void;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

const checks: Readonly<Record<keyof RedisStoreOptions, Check>> = {
  // Clients of a cluster, of Sentinel and of a pool have no `monitor`.
  client: having("a standalone client of node-redis", "duplicate", "sendCommand", "monitor"),
  prefix: (name, value) => {
    if (typeof value !== "string" || !value.isWellFormed() || value.length > 200)
      throw new CacheOptionError(name, "a text of at most 200 characters", value);
  },
  leaseMs: number(100, 60_000),
  connectTimeoutMs: number(1, 60_000),
  maxPending: integer(16, 2 ** 24),
  maxFences: integer(1, 2 ** 24),
  maxEvents: integer(1, 2 ** 24),
  onReport: typed("function"),
  now: typed("function"),
  random: typed("function"),
  timers: having("an object", "set", "clear"),
};

/**
 * A store for the caches of several processes in one Redis (6 or later) or Valkey. It connects at once, with connections of its own; close it.
 *
 * @throws CacheOptionError
 */
export function redisStore(options: RedisStoreOptions): RedisStore {
  checkOptions(options, checks);
  if (options.client === undefined)
    throw new CacheOptionError("client", "a node-redis client", undefined);
  return new RedisStore(options);
}

export class RedisStore implements SharedStore {
  readonly mirror: RedisMirror;
  readonly #keys: RedisKeys;
  readonly #link: RedisLink;
  readonly #events: RedisEvents;
  readonly #origin = randomUUID();
  readonly #maxEvents: number;
  readonly #onReport: ((report: RedisReport) => void) | undefined;

  /** Use `redisStore`, which checks the options. */
  constructor(options: RedisStoreOptions) {
    const link = linkOptions(options);
    const keys = new RedisKeys(ownPrefix(options.client) + (options.prefix ?? "cache-events:"));
    const trusted = (): boolean => {
      const answeredMs = this.#link.current?.answeredMs;
      return answeredMs !== undefined && link.now() - answeredMs < link.leaseMs;
    };
    const mirror = new RedisMirror(trusted, options.maxFences ?? 100_000);
    this.#keys = keys;
    this.mirror = mirror;
    this.#maxEvents = options.maxEvents ?? 10_000;
    this.#onReport = options.onReport;
    this.#link = new RedisLink(link, {
      tracked: keys.fences,
      changed: (name) => this.#changed(name),
      heartbeat: true,
      up: () => this.#report({ type: "up", link: "fences" }),
      down: (error) => {
        mirror.drop();
        this.#report({ type: "down", link: "fences", error });
      },
    });
    this.#events = new RedisEvents({
      ...link,
      stream: keys.events,
      origin: this.#origin,
      moved: (fences) => mirror.forget(fences),
      gap: (reason) => {
        mirror.drop();
        this.#report({ type: "gap", reason });
      },
      down: (error) => this.#report({ type: "down", link: "events", error }),
    });
  }

  /** Resolves when the store answers, and hears events if somebody listens; rejects when the first attempt to connect failed. */
  async ready(): Promise<void> {
    await this.#link.connection();
    await this.#events.ready();
  }

  async read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    if (keys.length === 0) return [];
    const connection = await this.#link.connection();
    const marked = this.mirror.mark(keys.filter(isFence));
    const names = keys.map((key) => this.#keys.of(key));
    const found = (await connection.sendVouched(["MGET", ...names])) as readonly (string | null)[];
    return keys.map((key, index) => {
      const raw = found[index] ?? undefined;
      if (!isFence(key)) return raw;
      const value = raw === undefined ? undefined : valueIn(connection, raw);
      this.mirror.fill(marked, key, value);
      return value;
    });
  }

  async write(entries: readonly StoreWrite[]): Promise<void> {
    const connection = await this.#link.connection();
    await this.#writing(connection, () =>
      Promise.all(
        entries.map(({ key, value, expiresInMs }) => {
          const set = ["SET", this.#keys.of(key), value];
          if (expiresInMs === undefined || !Number.isFinite(expiresInMs))
            return connection.send(set);
          return connection.send([...set, "PX", String(Math.max(1, Math.ceil(expiresInMs)))]);
        }),
      ),
    );
  }

  async remove(key: string): Promise<void> {
    const connection = await this.#link.connection();
    await this.#writing(connection, () => connection.send(["UNLINK", this.#keys.of(key)]));
  }

  async moveFences(
    keys: readonly string[],
    options: MoveOptions,
  ): Promise<ReadonlyMap<string, string>> {
    const fences = [...new Set([...options.first, ...keys])];
    const connection = await this.#link.connection();
    // Before it is sent: what this process reads from here on asks Redis, on the same connection and thus after it.
    this.mirror.forget(fences);
    const { event } = options;
    const streamed = event === undefined ? undefined : this.#streamed(fences, event);
    const names = fences.map((fence) => this.#keys.of(fence));
    const moved = await this.#writing(connection, () =>
      moveFences(connection, names, options, streamed),
    );
    return new Map(fences.map((fence, index) => [fence, valueIn(connection, moved[index] ?? "")]));
  }

  readonly listen = (listener: Listener): Disposable => this.#events.listen(listener);

  async close(): Promise<void> {
    this.#events.close();
    this.#link.close();
    this.mirror.drop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #streamed(fences: readonly string[], event: string): Parameters<typeof moveFences>[3] {
    const stream = this.#keys.events;
    return { stream, maxEvents: this.#maxEvents, origin: this.#origin, fences, event };
  }

  #changed(name: string | undefined): void {
    const fence = name === undefined ? undefined : this.#keys.fenceOf(name);
    if (fence === undefined) this.mirror.drop();
    else this.mirror.forget([fence]);
  }

  /** A primary that refuses to write was demoted: what it answers may be old. */
  async #writing<T>(connection: RedisConnection, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (isReply(error, "READONLY")) connection.drop(error);
      throw error;
    }
  }

  #report(report: RedisReport): void {
    try {
      this.#onReport?.(report);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      process.emitWarning(`onReport threw: ${reason}`, {
        type: "CacheEventsWarning",
        code: "CACHE_LISTENER",
      });
    }
  }
}

/** A fence is told from the one of an earlier history of the server, whose last changes a restart or a failover may have undone. */
function valueIn(connection: RedisConnection, raw: string): string {
  return `${connection.history}.${raw}`;
}

function linkOptions(options: RedisStoreOptions): LinkOptions {
  return {
    client: options.client,
    leaseMs: options.leaseMs ?? 3_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 2_000,
    maxPending: options.maxPending ?? 10_000,
    now: options.now ?? systemClock,
    random: options.random ?? Math.random,
    timers: options.timers ?? systemTimers,
  };
}

function ownPrefix(client: RedisClientLike): string {
  const { keyPrefix } = (client.options ?? {}) as { readonly keyPrefix?: unknown };
  return typeof keyPrefix === "string" ? keyPrefix : "";
}
