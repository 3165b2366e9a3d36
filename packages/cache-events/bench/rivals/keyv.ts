import KeyvRedis from "@keyv/redis";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { Keyv } from "keyv";
import { redisPortOf } from "./data.ts";
import { TagIndex } from "./tag-index.ts";

/** Cache aside: get, compute, set. It has no tags, so the keys of a tag are deleted. */
export function open({ name, entries, ttlMs, data }: OpenContext): CacheUnderTest {
  const port = redisPortOf(data);
  const index = new TagIndex(entries);
  const keyv = new Keyv({
    namespace: name,
    ttl: ttlMs,
    ...(port !== undefined && { store: new KeyvRedis(`redis://127.0.0.1:${port}`) }),
  });
  return {
    async getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      const found = await keyv.get(key);
      if (found !== undefined) return found;
      const value = await compute();
      await keyv.set(key, value);
      return value;
    },
    invalidateByTags: (tags) => keyv.delete([...index.keysOf(tags)]),
    delete: (key) => keyv.delete(key),
    set(key, value, { tags }) {
      index.learn(key, tags);
      return keyv.set(key, value);
    },
    get: (key) => keyv.get(key),
    clear: () => keyv.clear(),
    close: () => keyv.disconnect(),
  };
}
