import { describe, expect, test } from "vitest";
import type { ComputeContext } from "../src/index.ts";
import { InvalidationError } from "../src/index.ts";
import { calmStore, processOn } from "./strict-process.ts";
import { deferred, settle } from "./support.ts";

function late(value: Promise<string>): (context: ComputeContext) => Promise<string> {
  return async ({ tag }) => {
    const result = await value;
    tag("x");
    return result;
  };
}

describe("tags that come out of the compute", () => {
  test("an invalidation that is under way while the result lands still covers it", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const read = a.getOrSet("k", late(slow.promise));
    await settle();
    store.immediate = false;
    const invalidated = b.invalidateByTags(["x"]);
    await store.run(/^1 set .*f:t:x/);
    slow.resolve("old");
    await store.run(/^0 /);
    expect(await read).toBe("old");
    await store.run(/^1 /);
    await invalidated;
    store.immediate = true;
    expect(await b.getOrSet("k", () => "new")).toBe("new");
  });

  test("an invalidation between the reads that land the result covers it", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const read = a.getOrSet("k", late(slow.promise));
    await settle();
    store.immediate = false;
    slow.resolve("old");
    await store.run(/^0 get .*f:any/);
    const invalidated = b.invalidateByTags(["x"]);
    await store.run(/^1 /);
    await invalidated;
    await store.run(/^0 /);
    expect(await read).toBe("old");
    store.immediate = true;
    expect(await b.getOrSet("k", () => "new")).toBe("new");
  });

  test("a read that begins after an invalidation does not join a compute that is being stored", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const old = a.getOrSet("k", late(slow.promise));
    await settle();
    store.immediate = false;
    slow.resolve("old");
    await store.run(/^0 (get|set .*:f:)/);
    expect(store.pending).toEqual([expect.stringMatching(/^0 set .*:e:/)]);
    const invalidated = b.invalidateByTags(["x"]);
    await store.run(/^1 /);
    await invalidated;
    const reader = a.getOrSet("k", late(Promise.resolve("new")));
    await store.run(/^0 (get|set .*:f:)/);
    store.immediate = true;
    await store.run(/./);
    expect(await Promise.all([old, reader])).toEqual(["old", "new"]);
  });

  test("an invalidation that was refused still keeps this process from sharing an older compute", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const slow = deferred<string>();
    const old = cache.getOrSet("k", late(slow.promise));
    await settle();
    store.fail("lost");
    await expect(cache.invalidateByTags(["x"])).rejects.toThrow(InvalidationError);
    const joiner = cache.getOrSet("k", late(Promise.resolve("new")));
    await settle();
    slow.resolve("old");
    expect(await Promise.all([old, joiner])).toEqual(["old", "new"]);
  });

  test("a joiner computes again when such a tag moved before it joined", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const old = a.getOrSet("k", late(slow.promise));
    await settle();
    await b.invalidateByTags(["x"]);
    const joiner = a.getOrSet("k", late(Promise.resolve("new")));
    await settle();
    expect(a.stats().coalesced).toBe(1);
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(await joiner).toBe("new");
  });

  test("a joiner that finds the value stored meanwhile takes it, and computes alone when the store is gone", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const old = a.getOrSet("k", late(slow.promise));
    await settle();
    await b.invalidateByTags(["x"]);
    const joiner = a.getOrSet("k", () => "unused");
    await settle();
    await b.getOrSet("k", late(Promise.resolve("stored")));
    slow.resolve("old");
    expect(await Promise.all([old, joiner])).toEqual(["old", "stored"]);

    const again = deferred<string>();
    await b.delete("k");
    const first = a.getOrSet("k", late(again.promise));
    await settle();
    await b.invalidateByTags(["x"]);
    const second = a.getOrSet("k", () => "alone");
    await settle();
    store.down = true;
    again.resolve("old");
    expect(await Promise.all([first, second])).toEqual(["old", "alone"]);
  });
});
