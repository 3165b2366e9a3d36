import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { EventCache, InvalidationError } from "../src/index.ts";
import { FaultyStore } from "./faulty-store.ts";
import { calmStore, clock, processOn } from "./strict-process.ts";
import { ManualTimers, settle } from "./support.ts";

describe("a store that fails", () => {
  test("reads compute, nothing throws, and it is told", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const errors: string[] = [];
    cache.on("storeError", ({ operation, error }) => errors.push(`${operation} ${error.code}`));
    await cache.getOrSet("k", () => 1);
    store.down = true;
    expect(await cache.getOrSet("k", () => 2)).toBe(2);
    expect(await cache.get("k")).toBeUndefined();
    store.down = false;
    expect(await cache.getOrSet("k", () => 3)).toBe(1);
    expect(errors).toEqual(["read CACHE_STORE", "read CACHE_STORE"]);
  });

  test("a fence that cannot be created, or an entry that cannot be written, costs the entry and not the read", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const operations: string[] = [];
    cache.on("storeError", ({ operation }) => operations.push(operation));
    store.fail("none", "none", "none", "none", "none", "lost");
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(await cache.getOrSet("k", () => cyclic)).toBe(cyclic);
    expect(await cache.getOrSet("k", () => 3)).toBe(3);
    expect(operations).toEqual(["write", "write"]);
  });

  test("an invalidation that is not confirmed rejects, and the tag is bypassed until the store confirms", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const read = (value: number): Promise<number> =>
      cache.getOrSet("k", () => value, { tags: ["t"] });
    await read(1);
    store.down = true;
    await expect(cache.invalidateByTags(["t"])).rejects.toThrow(InvalidationError);
    expect(cache.stats().tags).toBeGreaterThan(0);
    store.down = false;
    store.fail(...Array.from({ length: 5 }, () => "none" as const), "lost");
    expect(await read(2)).toBe(2);
    expect(await read(3)).toBe(3);
    expect(await read(4)).toBe(3);
    expect(cache.stats().tags).toBe(0);
  });

  test("an older invalidation that is confirmed late does not vouch for one that failed", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    store.immediate = false;
    const older = cache.invalidateByTags(["t"]);
    store.fail("lost");
    const newer = cache.invalidateByTags(["t"]);
    store.step(1);
    await expect(newer).rejects.toThrow(InvalidationError);
    await store.run(/./);
    await older;
    expect(cache.stats().tags).toBeGreaterThan(0);
  });

  test("what was read of a broken fence is not trusted when a fresh value is confirmed before the answer is there", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    store.down = true;
    await expect(cache.invalidateByTags(["t"])).rejects.toThrow(InvalidationError);
    store.down = false;
    store.immediate = false;
    const read = cache.getOrSet("k", () => 2, { tags: ["t"] });
    await store.run(/get .*:f:/);
    const again = cache.invalidateByTags(["t"]);
    await store.run(/set .*:f:/);
    await again;
    store.immediate = true;
    await store.run(/./);
    expect(await read).toBe(2);
  });

  test("more broken fences than are remembered break everything", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1);
    store.down = true;
    const many = Array.from({ length: 10_001 }, (_, index) => `t${index}`);
    await expect(cache.invalidateByTags(many)).rejects.toThrow(InvalidationError);
    expect(cache.stats().tags).toBeLessThanOrEqual(10_001);
    store.down = false;
    expect(await cache.getOrSet("k", () => 2)).toBe(2);
  });

  test("a write whose second invalidation fails says that the write took effect", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const writing = cache.write(["t"], () => {
      store.down = true;
    });
    await expect(writing).rejects.toMatchObject({ code: "CACHE_INVALIDATION", applied: true });
    const before = cache.write(["t"], () => {
      throw new Error("never runs");
    });
    await expect(before).rejects.toMatchObject({ code: "CACHE_INVALIDATION", applied: false });
  });

  test("an adapter that answers false has failed", async () => {
    const keyv = new Keyv();
    keyv.store.setMany = async (entries: unknown[]) => entries.map(() => false);
    const cache = new EventCache({ store: keyv });
    await expect(cache.invalidateByTags(["t"])).rejects.toThrow(InvalidationError);
  });

  test("an adapter without getMany and setMany is asked key by key", async () => {
    const keyv = new Keyv();
    const { store } = keyv;
    const bare = {
      capabilities: { expires: true },
      get: (key: string) => store.get(key),
      set: (key: string, value: unknown, expires?: number) => store.set(key, value, expires),
      delete: (key: string) => store.delete(key),
      on() {},
    };
    const cache = new EventCache({ store: new Keyv({ store: bare as never }) });
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    expect(await cache.get("k")).toBe(1);
    await cache.invalidateByTags(["t"]);
    expect(await cache.get("k")).toBeUndefined();
  });

  test("no call of the store is waited for longer than storeTimeoutMs, and a late write is harmless", async () => {
    const store = new FaultyStore();
    const timers = new ManualTimers();
    const cache = processOn(store, { timers, storeTimeoutMs: 70 });
    const read = cache.getOrSet("k", () => 1);
    await settle();
    timers.fire(70);
    expect(await read).toBe(1);
    const invalidated = cache.invalidateByTags(["t"]);
    await settle();
    timers.fire(70);
    await expect(invalidated).rejects.toMatchObject({ cause: { code: "CACHE_STORE" } });
    await store.run(/./);
    expect(timers.delaysMs).toEqual([]);
  });

  test("after five failures in a row reads ask the store once a second, until it answers", async () => {
    const store = calmStore();
    const cache = processOn(store);
    await cache.getOrSet("k", () => 1);
    store.down = true;
    for (let index = 0; index < 5; index++) await cache.get("k");
    store.calls.length = 0;
    await cache.get("k");
    expect(store.calls).toEqual([]);
    clock.nowMs += 1_001;
    await cache.get("k");
    await cache.get("k");
    expect(store.calls).toHaveLength(1);
    store.down = false;
    expect(await cache.getOrSet("k", () => 2)).toBe(2);
    clock.nowMs += 1_001;
    expect(await cache.getOrSet("k", () => 3)).toBe(1);
    expect(await cache.getOrSet("k", () => 4)).toBe(1);
  });
});
