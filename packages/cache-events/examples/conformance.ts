import assert from "node:assert/strict";
import type { CacheUnderTest } from "@mcp-accel/cache-events/testing";
import { cacheConformance } from "@mcp-accel/cache-events/testing";

/** Cache aside over a map, as it is often written. */
function open(): CacheUnderTest {
  const values = new Map<string, unknown>();
  const keysOf = new Map<string, Set<string>>();
  return {
    async getOrSet(key, compute, { tags }) {
      for (const tag of tags) keysOf.set(tag, (keysOf.get(tag) ?? new Set()).add(key));
      if (!values.has(key)) values.set(key, await compute());
      return values.get(key);
    },
    async invalidateByTags(tags) {
      for (const tag of tags) for (const key of keysOf.get(tag) ?? []) values.delete(key);
    },
  };
}

const failures: string[] = [];
for (const { name, run } of cacheConformance({ open })) {
  await run().catch((error: unknown) => failures.push(`${name}: ${String(error)}`));
}
assert.match(
  failures.join("\n"),
  /its first tag is heeded when the compute began before it and lands after it: StaleReadError/,
);
console.log(`${failures.length} cases found it storing what had been invalidated meanwhile`);
