import { EventCache } from "@mcp-accel/cache-events";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";

/** The cache of one process. */
export function open({ name, now, random, ttlMs, maxEntries }: OpenContext): CacheUnderTest {
  const cache = new EventCache({ name, now, random, ttlMs, maxEntries });
  return eventCacheUnderTest(cache, { prefixes: true });
}
