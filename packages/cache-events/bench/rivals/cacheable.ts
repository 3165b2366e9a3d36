import KeyvRedis from "@keyv/redis";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { Cacheable } from "cacheable";
import type { CacheableOptions } from "cacheable";
import { redisPortOf } from "./data.ts";

/** Tags as in its documentation: they are given to `set`, for `getOrSet` takes none. With Redis as its secondary store. */
export function open({ name, data }: OpenContext): CacheUnderTest {
  const port = redisPortOf(data);
  const cache = new Cacheable({
    tags: true,
    namespace: name,
    ...(port !== undefined && { secondary: secondaryOn(port) }),
  });
  return {
    async getOrSet(key, compute, { tags }) {
      const found = await cache.get(key);
      if (found !== undefined) return found;
      const value = await compute();
      await cache.set(key, value, { tags: [...tags] });
      return value;
    },
    invalidateByTags: (tags) => cache.tags.invalidateTags([...tags]),
    delete: (key) => cache.delete(key),
    set: (key, value, { tags }) => cache.set(key, value, { tags: [...tags] }),
    get: (key) => cache.get(key),
    clear: () => cache.clear(),
    close: () => cache.disconnect(),
  };
}

type Secondary = NonNullable<CacheableOptions["secondary"]>;

/** Written for a later Keyv than the one it brings along: they differ in how they pass a lifetime, so there is none. */
function secondaryOn(port: number): Secondary {
  return new KeyvRedis(`redis://127.0.0.1:${port}`) as unknown as Secondary;
}
