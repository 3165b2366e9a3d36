import { EventCache } from "@mcp-accel/cache-events";
import { redisStore } from "@mcp-accel/cache-events/redis";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";
import { createClient } from "@redis/client";
import { redisPortOf } from "./data.ts";

/** Strict over the package's own store for Redis. */
export async function open(context: OpenContext): Promise<CacheUnderTest> {
  const { name, now, random, ttlMs, maxEntries, data } = context;
  const client = createClient({ url: `redis://127.0.0.1:${redisPortOf(data)}` });
  const store = redisStore({ client });
  await store.ready();
  const cache = new EventCache({ name, now, random, ttlMs, maxEntries, store });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false }),
    async close() {
      await cache.close();
      await store.close();
    },
  };
}
