import type {
  CacheUnderTest,
  ComputeUnderTest,
  OpenContext,
} from "@mcp-accel/cache-events/testing";
import { LRUCache } from "lru-cache";
import { TagIndex } from "./tag-index.ts";

/** `fetch` with a `fetchMethod`, as in its documentation; it has no tags, so the keys of a tag are deleted. */
export function open({ entries, ttlMs }: OpenContext): CacheUnderTest {
  const index = new TagIndex(entries);
  const cache = new LRUCache<string, object, ComputeUnderTest>({
    max: 1_000,
    ttl: ttlMs,
    fetchMethod: async (_key, _stale, { context }) => (await context()) as object,
  });
  return {
    getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      return cache.fetch(key, { context: compute });
    },
    async invalidateByTags(tags) {
      for (const key of index.keysOf(tags)) cache.delete(key);
    },
    async delete(key) {
      cache.delete(key);
    },
    async set(key, value, { tags }) {
      index.learn(key, tags);
      cache.set(key, value as object);
    },
    peek: (key) => cache.get(key),
    async clear() {
      cache.clear();
    },
  };
}
