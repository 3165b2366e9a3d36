import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { createCache } from "cache-manager";
import { TagIndex } from "./tag-index.ts";

/** `wrap`, as in its documentation; it has no tags, so the keys of a tag are deleted. */
export function open({ entries, ttlMs }: OpenContext): CacheUnderTest {
  const cache = createCache({ ttl: ttlMs });
  const index = new TagIndex(entries);
  return {
    getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      return cache.wrap(key, () => compute());
    },
    invalidateByTags: (tags) => cache.mdel([...index.keysOf(tags)]),
    delete: (key) => cache.del(key),
    set(key, value, { tags }) {
      index.learn(key, tags);
      return cache.set(key, value);
    },
    get: (key) => cache.get(key),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}
