import { cacheConformance } from "@mcp-accel/cache-events/testing";
import { test } from "node:test";
import { open } from "./memory.ts";

for (const { name, run } of cacheConformance({ open, seeds: [1] }))
  void test(name, async (context) => {
    await run(context);
  });
