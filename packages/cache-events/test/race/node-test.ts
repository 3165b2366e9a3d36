import { cacheConformance } from "@mcp-accel/cache-events/testing";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { test } from "node:test";
import { open } from "./memory.ts";

/** As a cache that serves nothing stale: the cases for that are skipped. */
const plain = (context: OpenContext): CacheUnderTest => ({ ...open(context), features: [] });

for (const { name, run } of cacheConformance({ open: plain, seeds: [1] }))
  void test(name, async (context) => {
    await run(context);
  });
