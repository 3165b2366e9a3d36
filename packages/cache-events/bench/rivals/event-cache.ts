import KeyvRedis from "@keyv/redis";
import { EventCache } from "@mcp-accel/cache-events";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";
import { Keyv } from "keyv";
import { redisPortOf } from "./data.ts";

/** In memory, or strict over `@keyv/redis`. */
export function open({ name, now, random, ttlMs, maxEntries, data }: OpenContext): CacheUnderTest {
  const port = redisPortOf(data);
  const options = { name, now, random, ttlMs, maxEntries };
  if (port === undefined) return eventCacheUnderTest(new EventCache(options), { prefixes: true });
  const store = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${port}`) });
  const cache = new EventCache({ ...options, store });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false }),
    async close() {
      await cache.close();
      await store.disconnect();
    },
  };
}
