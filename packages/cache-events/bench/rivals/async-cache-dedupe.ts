import type {
  CacheUnderTest,
  ComputeUnderTest,
  OpenContext,
} from "@mcp-accel/cache-events/testing";
import type { StorageInputMemory, StorageInputRedis } from "async-cache-dedupe";
import { createCache } from "async-cache-dedupe";
import { Redis } from "ioredis";
import { redisPortOf } from "./data.ts";
import { TagIndex } from "./tag-index.ts";

/** References as tags, as in its documentation. It has neither `set` nor `get`. */
export function open({ name, ttlMs, entries, data }: OpenContext): CacheUnderTest {
  const port = redisPortOf(data);
  const client = port === undefined ? undefined : new Redis({ port, host: "127.0.0.1" });
  const index = new TagIndex(entries);
  const computes = new Map<string, ComputeUnderTest>();
  const ttl = Math.ceil(ttlMs / 1_000);
  const memory: StorageInputMemory = { type: "memory", options: { invalidation: true } };
  const storage: StorageInputMemory | StorageInputRedis =
    client === undefined
      ? memory
      : { type: "redis", options: { client, invalidation: { referencesTTL: ttl } } };
  const cache = createCache({ ttl, storage }).define(
    name,
    { references: (key: string) => [...index.tagsOf(key)] },
    (key: string) => computes.get(key)?.(),
  );
  const load = (cache as unknown as Readonly<Record<string, (key: string) => Promise<unknown>>>)[
    name
  ];
  return {
    async getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      computes.set(key, compute);
      return load?.(key);
    },
    invalidateByTags: (tags) => cache.invalidateAll([...tags]),
    delete: (key) => cache.clear(name as never, key as never),
    clear: () => cache.clear(),
    async close() {
      await client?.quit();
    },
  };
}
