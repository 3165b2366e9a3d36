import { EventCache } from "@mcp-accel/cache-events";
import KeyvRedis from "@keyv/redis";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";
import { Keyv } from "keyv";

/** Strict over `@keyv/redis`; `data` is the port. */
export function open({ name, now, random, ttlMs, data }: OpenContext): CacheUnderTest {
  const store = new Keyv({
    store: new KeyvRedis({ url: `redis://127.0.0.1:${String(data)}`, disableOfflineQueue: true }),
  });
  store.on("error", () => {});
  const cache = new EventCache({ name, now, random, ttlMs, store });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false }),
    async close() {
      await cache.close();
      await store.disconnect();
    },
  };
}
