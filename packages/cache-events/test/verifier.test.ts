import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { deferred, settle } from "./support.ts";

describe("verification", () => {
  test("a sampled hit that differs when computed again is counted, told and dropped", async () => {
    let draw = 0.4;
    const cache = new EventCache({ verifyRatio: 0.5, random: () => draw });
    const events: unknown[] = [];
    cache.on("mismatch", (event) => events.push(event));
    await cache.getOrSet("k", () => [1]);
    await cache.getOrSet("k", () => [1]);
    await settle();
    expect(cache.stats()).toMatchObject({ loads: 2, verifyMismatches: 0 });
    draw = 0.6;
    await cache.getOrSet("k", () => [2]);
    draw = 0.4;
    expect(await cache.getOrSet("k", () => [2])).toEqual([1]);
    await settle();
    expect(events).toEqual([{ key: "k", namespace: "", cached: [1], computed: [2] }]);
    expect(cache.stats()).toMatchObject({ loads: 3, verifyMismatches: 1 });
    expect(cache.peek("k")).toBeUndefined();
  });

  test("a difference that an invalidation explains is none, and a compute that fails is no proof", async () => {
    const cache = new EventCache({ verifyRatio: 1, random: () => 0 });
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    const slow = deferred<number>();
    await cache.getOrSet("k", () => slow.promise);
    await cache.invalidateByTags(["t"]);
    slow.resolve(2);
    await settle();
    await cache.getOrSet("k", () => 3);
    await cache.getOrSet("k", () => Promise.reject(new Error("no")));
    await settle();
    expect(cache.stats()).toMatchObject({ verifyMismatches: 0, loadErrors: 1 });
    expect(cache.peek("k")).toBe(3);
  });

  test("no more than eight samples run at once", async () => {
    const cache = new EventCache({ verifyRatio: 1, random: () => 0 });
    await cache.set("k", 1);
    for (let index = 0; index < 20; index++)
      void cache.getOrSet("k", () => new Promise<number>(() => {}));
    expect(cache.stats().flights).toBe(8);
    await cache.close();
    expect(cache.stats().flights).toBe(0);
  });
});
