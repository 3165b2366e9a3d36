import { EventCache } from "@mcp-accel/cache-events";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";

const features = ["namespaces", "lateTags", "signal", "staleWhileRevalidate"] as const;

/** The cache of one process. */
export function open({
  name,
  now,
  random,
  ttlMs,
  staleMs,
  maxEntries,
}: OpenContext): CacheUnderTest {
  const stale = { staleWhileRevalidateMs: staleMs, staleIfErrorMs: staleMs };
  const cache = new EventCache({ name, now, random, ttlMs, ...stale, maxEntries });
  return eventCacheUnderTest(cache, { prefixes: true, features });
}
