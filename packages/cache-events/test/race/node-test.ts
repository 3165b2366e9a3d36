import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { cacheConformance } from "@mcp-accel/cache-events/testing";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { test } from "node:test";
import { open as openMemory } from "./memory.ts";

/** A cache that lacks something, so that the runner has something to skip. */
function open(context: OpenContext): CacheUnderTest {
  const members = Object.entries(openMemory(context));
  const kept = members.filter(([name]) => name !== "clearPrefix");
  return Object.fromEntries(kept) as unknown as CacheUnderTest;
}

/** As a cache that serves nothing stale: the cases for that are skipped. */
const plain = (context: OpenContext): CacheUnderTest => ({ ...open(context), features: [] });

for (const { name, run } of cacheConformance({ open: plain, seeds: [1] }))
  void test(name, async (context) => {
    await run(context);
  });
