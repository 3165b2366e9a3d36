import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { manualClock } from "./support.ts";

describe("cache statistics", () => {
  test("every read is a hit or a miss, and what was found but could not be used is also a stale miss", async () => {
    const clock = manualClock();
    const cache = new EventCache({ now: clock.now, ttlMs: 100, ttlJitter: 0 });
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    await cache.getOrSet("k", () => 1);
    cache.peek("k");
    cache.peek("unknown");
    await cache.get("k");
    await cache.invalidateByTags(["t"]);
    await cache.getOrSet("k", () => 2);
    clock.nowMs += 100;
    await cache.get("k");
    await cache.get("k");
    expect(cache.stats()).toMatchObject({
      hits: 3,
      misses: 4,
      staleMisses: 2,
      loads: 2,
      hitRatio: 3 / 7,
    });
  });

  test("a fresh cache has read nothing, and its hit ratio is 0", () => {
    const { byNamespace, byTag, ...totals } = new EventCache().stats();
    expect(byTag).toEqual({});
    expect(Object.values(totals).every((value) => value === 0 || value === false)).toBe(true);
    expect(byNamespace).toEqual({ "": expect.objectContaining({ hits: 0, hitRatio: 0 }) });
  });

  test("namespaces are counted apart", async () => {
    const cache = new EventCache({ maxEntries: 2 });
    await cache.getOrSet("k", () => 1, { namespace: "a" });
    await cache.getOrSet("k", () => 1, { namespace: "a" });
    await cache.getOrSet("k", () => 1, { namespace: "b" });
    await cache.getOrSet("k", () => 1);
    const { byNamespace, ...totals } = cache.stats();
    expect(totals).toMatchObject({ hits: 1, misses: 3, loads: 3, evictions: 1, entries: 2 });
    expect(byNamespace["a"]).toMatchObject({ hits: 1, misses: 1, hitRatio: 0.5 });
    expect(byNamespace["b"]).toMatchObject({ hits: 0, misses: 1, loads: 1 });
    expect(byNamespace[""]).toMatchObject({ misses: 1, entries: 1 });
  });

  test("invalidations count the fences moved", async () => {
    const cache = new EventCache();
    await cache.invalidateByTags(["a", "b"]);
    await cache.delete("k");
    await cache.clear();
    await cache.clear({ namespace: "n" });
    await cache.write(["c"], () => {});
    expect(cache.stats().invalidations).toBe(7);
  });

  test("the counts of namespaces that nobody uses any more are bounded", async () => {
    const cache = new EventCache();
    await cache.set("kept", 1, { namespace: "kept" });
    for (let index = 0; index < 5_000; index++)
      await cache.get("k", { namespace: `tenant ${index}` });
    const { byNamespace, misses } = cache.stats();
    expect(misses).toBe(5_000);
    expect(Object.keys(byNamespace).length).toBeLessThanOrEqual(1_002);
    expect(cache.peek("kept", { namespace: "kept" })).toBe(1);
  });

  test("tags that something has are counted with their entries and their invalidations, at most a hundred", async () => {
    const cache = new EventCache();
    await cache.set("a", 1, { tags: ["red", "green"] });
    await cache.set("b", 1, { tags: ["red", "__proto__"] });
    await cache.invalidateByTags(["green", "unknown"]);
    await cache.invalidateByTags(["green"]);
    const { byTag } = cache.stats();
    expect(Object.entries(byTag)).toEqual([
      ["red", { entries: 2, invalidations: 0 }],
      ["green", { entries: 1, invalidations: 2 }],
      ["__proto__", { entries: 1, invalidations: 0 }],
    ]);
    const never = cache.getOrSet("c", () => new Promise(() => {}), { tags: ["blue"] });
    expect(cache.stats().byTag["blue"]).toEqual({ entries: 0, invalidations: 0 });
    await cache.delete("a");
    expect(cache.stats().byTag["red"]?.entries).toBe(1);
    expect(cache.stats().byTag["green"]).toBeUndefined();
    for (let index = 0; index < 1_000; index++)
      await cache.set(`many ${index}`, 1, { tags: ["red", `own ${index}`] });
    const most = cache.stats().byTag;
    expect(Object.keys(most)).toHaveLength(100);
    expect(most["red"]?.entries).toBe(1_001);
    await cache.close();
    await expect(never).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    expect(cache.stats().byTag).toEqual({});
  });

  test("has every name that dashboards rely on", () => {
    expect(Object.keys(new EventCache().stats()).toSorted()).toEqual([
      "byNamespace",
      "byTag",
      "bypassed",
      "coalesced",
      "entries",
      "evictions",
      "flights",
      "ghosts",
      "hitRatio",
      "hits",
      "invalidations",
      "loadErrors",
      "loads",
      "memoryBytes",
      "misses",
      "refreshes",
      "staleHits",
      "staleMisses",
      "storeErrors",
      "tags",
      "verifyMismatches",
    ]);
  });

  test("bytes are those of the entries, and none are left when they are gone", async () => {
    const cache = new EventCache();
    await cache.set("k", "x".repeat(500));
    const { memoryBytes } = cache.stats();
    expect(memoryBytes).toBe(16 + 1_000 + 200 + 2);
    await cache.set("k", "y");
    expect(cache.stats().memoryBytes).toBe(16 + 2 + 200 + 2);
    await cache.delete("k");
    expect(cache.stats().memoryBytes).toBe(0);
  });
});
