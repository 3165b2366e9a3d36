import { EventCache } from "@mcp-accel/cache-events";
import { createCache as createDedupe } from "async-cache-dedupe";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { createCache as createManager } from "cache-manager";
import { Cacheable } from "cacheable";
import { Keyv } from "keyv";
import { Loader } from "layered-loader/core";
import { LRUCache } from "lru-cache";

export type Compute = (key: string) => Promise<unknown>;

/** A cache in memory, by what the benches ask of it. */
export interface Cache {
  readonly name: string;
  /** Entries carry the tags `users` and `group:1`. */
  readonly tags: boolean;
  /** Concurrent readers share one compute. */
  readonly shares: boolean;
  /** The cached value, or that of the compute. */
  readonly read: (key: string) => unknown;
  /** A hit without waiting. */
  readonly peek?: (key: string) => unknown;
  /** Invalidates the tag `users`. */
  readonly invalidateTag?: () => Promise<unknown>;
  readonly invalidateKey: (key: string) => unknown;
  readonly close?: () => Promise<void>;
}

export interface CacheOptions {
  readonly maxEntries: number;
  readonly compute: Compute;
}

const ttlMs = 600_000;
export const tags: readonly string[] = ["users", "group:1"];

export function createCaches(options: CacheOptions): readonly Cache[] {
  return [
    eventCache(options),
    lruFetch(options),
    layeredLoader(options),
    dedupe(options),
    bento(options),
    manager(options),
    cacheable(options),
    cacheableWithTags(options),
    rawKeyv(options),
  ];
}

export async function closeAll(caches: readonly Cache[]): Promise<void> {
  for (const cache of caches) await cache.close?.();
}

export function eventCache({ maxEntries, compute }: CacheOptions): Cache {
  const cache = new EventCache({ maxEntries, maxBytes: 2 ** 40, ttlMs });
  const read = { tags };
  return {
    name: "EventCache.getOrSet",
    tags: true,
    shares: true,
    read: (key) => cache.getOrSet(key, () => compute(key), read),
    peek: (key) => cache.peek(key),
    invalidateTag: () => cache.invalidateByTags(["users"]),
    invalidateKey: (key) => cache.delete(key),
    close: () => cache.close(),
  };
}

function lruFetch({ maxEntries, compute }: CacheOptions): Cache {
  const cache = new LRUCache<string, object>({
    max: maxEntries,
    ttl: ttlMs,
    fetchMethod: async (key) => (await compute(key)) as object,
  });
  return {
    name: "lru-cache fetch",
    tags: false,
    shares: true,
    read: (key) => cache.fetch(key),
    peek: (key) => cache.get(key),
    invalidateKey: (key) => cache.delete(key),
  };
}

function layeredLoader({ maxEntries, compute }: CacheOptions): Cache {
  const loader = new Loader<unknown>({
    inMemoryCache: { ttlInMsecs: ttlMs, maxItems: maxEntries },
    dataSourceGetOneFn: compute,
  });
  return {
    name: "layered-loader get",
    tags: false,
    shares: true,
    read: (key) => loader.get(key),
    peek: (key) => loader.getInMemoryOnly(key),
    invalidateKey: (key) => loader.invalidateCacheFor(key),
  };
}

export function dedupe({ maxEntries, compute }: CacheOptions): Cache {
  const cache = createDedupe({
    ttl: ttlMs / 1_000,
    storage: { type: "memory", options: { size: maxEntries, invalidation: true } },
  }).define("read", { references: () => [...tags] }, compute);
  return {
    name: "async-cache-dedupe",
    tags: true,
    shares: true,
    read: (key) => cache.read(key),
    invalidateTag: () => cache.invalidate("read", "users"),
    invalidateKey: (key) => cache.clear("read", key),
  };
}

export function bento({ maxEntries, compute }: CacheOptions): Cache {
  const driver = memoryDriver({ maxItems: maxEntries, serialize: false });
  const cache = new BentoCache({
    default: "memory",
    stores: { memory: bentostore().useL1Layer(driver) },
  });
  return {
    name: "bentocache getOrSet",
    tags: true,
    shares: true,
    read: (key) =>
      cache.getOrSet({ key, factory: () => compute(key), tags: [...tags], ttl: ttlMs }),
    invalidateTag: () => cache.deleteByTag({ tags: ["users"] }),
    invalidateKey: (key) => cache.delete({ key }),
    close: () => cache.disconnectAll(),
  };
}

function manager({ compute }: CacheOptions): Cache {
  const cache = createManager({ ttl: ttlMs });
  return {
    name: "cache-manager wrap",
    tags: false,
    shares: true,
    read: (key) => cache.wrap(key, () => compute(key)),
    invalidateKey: (key) => cache.del(key),
  };
}

function cacheable({ compute }: CacheOptions): Cache {
  const cache = new Cacheable({ ttl: ttlMs });
  return {
    name: "cacheable getOrSet",
    tags: false,
    shares: true,
    read: (key) => cache.getOrSet(key, () => compute(key)),
    invalidateKey: (key) => cache.delete(key),
    close: () => cache.disconnect(),
  };
}

/** Its getOrSet takes no tags. */
export function cacheableWithTags({ compute }: CacheOptions): Cache {
  const cache = new Cacheable({ ttl: ttlMs, tags: true });
  return {
    name: "cacheable get, then set",
    tags: true,
    shares: false,
    read: (key) => readThrough(cache, key, compute),
    invalidateTag: () => cache.tags.invalidateTag("users"),
    invalidateKey: (key) => cache.delete(key),
    close: () => cache.disconnect(),
  };
}

export async function readThrough(
  cache: Cacheable,
  key: string,
  compute: Compute,
): Promise<unknown> {
  const cached = await cache.get<unknown>(key);
  if (cached !== undefined) return cached;
  const value = await compute(key);
  await cache.set(key, value, { tags: [...tags] });
  return value;
}

function rawKeyv({ compute }: CacheOptions): Cache {
  const keyv = new Keyv({ ttl: ttlMs });
  return {
    name: "Keyv get, then set",
    tags: false,
    shares: false,
    read: async (key) => {
      const cached: unknown = await keyv.get(key);
      if (cached !== undefined) return cached;
      const value = await compute(key);
      await keyv.set(key, value);
      return value;
    },
    invalidateKey: (key) => keyv.delete(key),
  };
}
