import { EventCache } from "@mcp-accel/cache-events";
import { sqliteStore } from "@mcp-accel/cache-events/sqlite";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";

/** The processes of one host on one file; `data` is the folder for it. */
export function open({ name, now, random, ttlMs, maxEntries, data }: OpenContext): CacheUnderTest {
  const store = sqliteStore({ path: `${String(data)}/${name}.db`, busyTimeoutMs: 5_000 });
  const cache = new EventCache({ name, now, random, ttlMs, maxEntries, store });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false }),
    async close() {
      await cache.close();
      await store.close();
    },
  };
}
