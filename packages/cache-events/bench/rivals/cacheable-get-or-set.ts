import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { Cacheable } from "cacheable";
import { TagIndex } from "./tag-index.ts";

/** `getOrSet`, which shares computes but takes no tags: the keys of a tag are deleted. */
export function open({ entries }: OpenContext): CacheUnderTest {
  const cache = new Cacheable();
  const index = new TagIndex(entries);
  return {
    getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      return cache.getOrSet(key, compute, { throwErrors: "function" });
    },
    invalidateByTags: (tags) => cache.deleteMany([...index.keysOf(tags)]),
    delete: (key) => cache.delete(key),
    set(key, value, { tags }) {
      index.learn(key, tags);
      return cache.set(key, value);
    },
    get: (key) => cache.get(key),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}
