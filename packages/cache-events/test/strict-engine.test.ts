import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { EventCache, InvalidationError, SelectionError } from "../src/index.ts";
import { FaultyStore } from "./faulty-store.ts";
import { calmStore, clock, counter, processOn } from "./strict-process.ts";
import { deferred, settle } from "./support.ts";

describe("a shared store", () => {
  test("what one process computes, another reads", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const { compute } = counter();
    expect(await a.getOrSet("k", compute, { tags: ["t"] })).toBe(1);
    expect(await b.getOrSet("k", compute, { tags: ["t"] })).toBe(1);
    expect(await b.get("k")).toBe(1);
    expect(b.peek("k")).toBeUndefined();
    expect(b.stats()).toMatchObject({ hits: 2, misses: 0, entries: 0, memoryBytes: 0 });
  });

  test("a hit with the tags it was stored with takes one round trip, and two when the reader does not name them", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1, { tags: ["t", "u"] });
    store.calls.length = 0;
    await cache.getOrSet("k", () => 2, { tags: ["t", "u"] });
    expect(store.calls).toEqual(["getMany 7"]);
    store.calls.length = 0;
    expect(await cache.get("k")).toBe(1);
    expect(store.calls).toEqual(["getMany 5", "getMany 2"]);
  });

  test.each([
    ["a tag", (cache: EventCache) => cache.invalidateByTags(["t"])],
    ["a tag that came out of the compute", (cache: EventCache) => cache.invalidateByTags(["late"])],
    ["the key", (cache: EventCache) => cache.delete("k", { namespace: "n" })],
    ["the namespace", (cache: EventCache) => cache.clear({ namespace: "n" })],
    ["tags by clear", (cache: EventCache) => cache.clear({ tags: ["t"] })],
    ["everything", (cache: EventCache) => cache.clear()],
    ["a write", (cache: EventCache) => cache.write(["t"], () => {})],
  ])("%s invalidated by one process is gone for the other", async (_what, invalidate) => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const { compute } = counter();
    const read = (cache: EventCache): Promise<number> =>
      cache.getOrSet(
        "k",
        ({ tag }) => {
          tag("late");
          return compute();
        },
        { tags: ["t"], namespace: "n" },
      );
    await read(a);
    expect(await read(b)).toBe(1);
    await invalidate(b);
    expect(await read(a)).toBe(2);
    expect(a.stats().staleMisses + a.stats().misses).toBeGreaterThan(1);
  });

  test("a compute that was overtaken by an invalidation in another process is not served", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const old = a.getOrSet("k", () => slow.promise, { tags: ["t"] });
    await settle();
    await b.invalidateByTags(["t"]);
    const joined = a.getOrSet("k", () => "new", { tags: ["t"] });
    await settle();
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(await joined).toBe("new");
    expect(await b.getOrSet("k", () => "newer", { tags: ["t"] })).not.toBe("old");
  });

  test("subscribers run once the store has confirmed, and learn of an event also when it does not", async () => {
    const store = calmStore();
    const [a, b] = [
      processOn(store, { rules: { taskCompleted: () => ["tasks"] } }),
      processOn(store),
    ];
    const seen: unknown[] = [];
    a.bus.on("taskCompleted", async () => {
      seen.push(await b.getOrSet("k", () => "new", { tags: ["tasks"] }));
    });
    await b.getOrSet("k", () => "old", { tags: ["tasks"] });
    await a.bus.emit({ type: "taskCompleted", taskId: "1" });
    expect(seen).toEqual(["new"]);
    store.down = true;
    const emitted = a.bus.emit({ type: "taskCompleted", taskId: "1" });
    await expect(emitted).rejects.toThrow(InvalidationError);
    expect(seen).toHaveLength(2);
  });

  test("reads that begin together share one compute, and one value for each fence they create", async () => {
    const cache = processOn(calmStore());
    const { compute } = counter();
    const read = (): Promise<number> => cache.getOrSet("k", compute, { tags: ["t"] });
    expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1]);
    expect(cache.stats()).toMatchObject({ loads: 1, coalesced: 2, misses: 3 });
    expect(await read()).toBe(1);
  });

  test("set is read by others and outlives an older compute elsewhere", async () => {
    const store = calmStore();
    const [a, b] = [processOn(store), processOn(store)];
    const slow = deferred<string>();
    const old = a.getOrSet("k", () => slow.promise);
    await settle();
    await b.set("k", "set", { tags: ["t"] });
    expect(await a.get("k")).toBe("set");
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(await b.get("k")).not.toBe("old");
  });

  test("entries expire, at the latest when the reader's clock says so", async () => {
    const cache = processOn(calmStore());
    const reasons: string[] = [];
    cache.on("miss", ({ reason }) => reasons.push(reason));
    await cache.set("k", 1, { ttlMs: 50 });
    expect(await cache.get("k")).toBe(1);
    clock.nowMs += 60;
    expect(await cache.get("k")).toBeUndefined();
    expect(reasons).toEqual(["expired"]);
  });

  test("an infinite ttl stores entries and fences without expiry", async () => {
    const cache = processOn(calmStore(), { ttlMs: Infinity });
    await cache.getOrSet("k", () => 1);
    clock.nowMs += 1e12;
    expect(await cache.get("k")).toBe(1);
    clock.nowMs -= 1e12;
  });

  test("undefined is not stored, and neither is anything while bypassed", async () => {
    const store = calmStore();
    const cache = processOn(store);
    expect(await cache.getOrSet("k", () => undefined)).toBeUndefined();
    cache.bypass(true);
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    expect(await cache.get("k")).toBeUndefined();
    await cache.set("k", 2);
    cache.bypass(false);
    expect(await cache.get("k")).toBeUndefined();
    expect([...store.data.keys()].filter((key) => key.includes(":e:"))).toEqual([]);
  });

  test("losing every fence invalidates everything", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    for (const key of store.data.keys()) if (key.includes(":f:")) store.data.delete(key);
    expect(await cache.getOrSet("k", () => 2, { tags: ["t"] })).toBe(2);
    expect(await cache.getOrSet("k", () => 3, { tags: ["t"] })).toBe(2);
  });

  test("rubbish under an entry's key is a miss", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.set("k", 1);
    const entry = [...store.data.keys()].find((key) => key.includes(":e:")) ?? "";
    for (const rubbish of [
      "{",
      '{"value":1}',
      '{"value":{"v":1}}',
      7,
      '{"value":{"v":1,"u":1e99,"f":[]}}',
    ]) {
      store.data.set(entry, rubbish);
      expect(await cache.get("k")).toBeUndefined();
    }
  });

  test("clear by prefix, or by tags within a namespace, is refused", async () => {
    const cache = processOn(calmStore());
    await expect(cache.clear({ prefix: "a" })).rejects.toThrow(SelectionError);
    await expect(cache.clear({ tags: ["t"], namespace: "n" })).rejects.toMatchObject({
      code: "CACHE_SELECTION",
    });
  });

  test("works over a plain Keyv, and caches of different names do not meet", async () => {
    const keyv = new Keyv();
    const a = new EventCache({ store: keyv, name: "a" });
    const b = new EventCache({ store: keyv, name: "b" });
    expect(await a.getOrSet("k", () => 1, { tags: ["t"] })).toBe(1);
    expect(await b.getOrSet("k", () => 2, { tags: ["t"] })).toBe(2);
    await b.clear();
    expect(await a.getOrSet("k", () => 3, { tags: ["t"] })).toBe(1);
    await a.delete("k");
    expect(await a.getOrSet("k", () => 4, { tags: ["t"] })).toBe(4);
  });

  test("a sampled hit is compared as it comes back from the store", async () => {
    const cache = processOn(calmStore(), { verifyRatio: 1 });
    const mismatches: unknown[] = [];
    cache.on("mismatch", (event) => mismatches.push(event));
    await cache.getOrSet("k", () => ({ date: new Date(0) }));
    await cache.getOrSet("k", () => ({ date: new Date(0) }));
    await settle();
    expect(mismatches).toEqual([]);
    await cache.getOrSet("k", () => ({ date: new Date(1) }));
    await settle();
    expect(mismatches).toHaveLength(1);
    expect(await cache.get("k")).toBeUndefined();
  });
});

describe("readers in strict mode", () => {
  test("one that aborts leaves the others their result", async () => {
    const cache = processOn(calmStore());
    const slow = deferred<number>();
    const controller = new AbortController();
    const leaving = cache.getOrSet("k", () => slow.promise, { signal: controller.signal });
    await settle();
    const staying = cache.getOrSet("k", () => 0);
    await settle();
    controller.abort(new Error("gone"));
    await expect(leaving).rejects.toThrow("gone");
    slow.resolve(1);
    expect(await staying).toBe(1);
    expect(await cache.get("k")).toBe(1);
  });

  test("a compute that fails, or that names bad tags, fails its read and leaves nothing", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const failing = cache.getOrSet("k", () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    await expect(cache.getOrSet("k", ({ tag }) => tag(""))).rejects.toMatchObject({
      code: "CACHE_OPTION",
    });
    expect(cache.stats()).toMatchObject({ loadErrors: 2, flights: 0 });
    cache.bypass(true);
    await expect(cache.getOrSet("k", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  });

  test("a read that is still asking the store when the cache closes does not compute", async () => {
    const store = new FaultyStore();
    const cache = processOn(store);
    const counted = counter();
    const read = cache.getOrSet("k", counted.compute);
    await settle();
    await cache.close();
    void store.run(/./);
    await expect(read).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    expect(counted.count).toBe(0);
  });
});
