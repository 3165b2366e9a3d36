import { EventCache } from "@mcp-accel/cache-events";
import type { Consistency } from "@mcp-accel/cache-events";
import { redisStore } from "@mcp-accel/cache-events/redis";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";
import { createClient } from "@redis/client";

interface Data {
  readonly port: number;
  readonly consistency: Consistency;
}

/** Over the package's own store for Redis. */
export async function open(context: OpenContext): Promise<CacheUnderTest> {
  const { name, now, random, ttlMs, maxEntries, data } = context;
  const { port, consistency } = data as Data;
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  client.on("error", () => {});
  const store = redisStore({ client, prefix: `${name}:` });
  await store.ready();
  const cache = new EventCache({ name, now, random, ttlMs, maxEntries, store, consistency });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false }),
    async close() {
      await cache.close();
      await store.close();
    },
  };
}
