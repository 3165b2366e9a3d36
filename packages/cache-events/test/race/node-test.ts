import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { cacheConformance } from "@mcp-accel/cache-events/testing";
import { test } from "node:test";
import { open as openMemory } from "./memory.ts";

/** A cache that lacks something, so that the runner has something to skip. */
function open(context: OpenContext): CacheUnderTest {
  const members = Object.entries(openMemory(context));
  const kept = members.filter(([name]) => name !== "clearPrefix");
  return Object.fromEntries(kept) as unknown as CacheUnderTest;
}

for (const { name, run } of cacheConformance({ open, seeds: [1] }))
  void test(name, async (context) => {
    await run(context);
  });
