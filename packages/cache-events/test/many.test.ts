import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { calmStore, processOn } from "./strict-process.ts";
import { ManualTimers, deferred, manualClock, settle } from "./support.ts";

function fail(): never {
  throw new Error("at once");
}

function recorder(cache: EventCache) {
  const calls: (readonly string[])[] = [];
  const read = (keys: readonly string[], options = {}): Promise<(string | undefined)[]> =>
    cache.getOrSetMany(
      keys,
      (missing) => {
        calls.push(missing);
        return missing.map((key) => `${key} computed`);
      },
      options,
    );
  return { calls, read };
}

describe("getOrSetMany", () => {
  test("computes what is missing in one call, and answers in the order of the keys, also for a key named twice", async () => {
    const cache = new EventCache();
    const { calls, read } = recorder(cache);
    await cache.set("b", "set");
    expect(await read(["c", "b", "a", "c"])).toEqual([
      "c computed",
      "set",
      "a computed",
      "c computed",
    ]);
    expect(calls).toEqual([["c", "a"]]);
    expect(await read(["a", "b", "c"])).toEqual(["a computed", "set", "c computed"]);
    expect(await read([])).toEqual([]);
    expect(calls).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: 4, misses: 2, loads: 2, flights: 0 });
  });

  test("a Map may leave keys out; an array may hold undefined; neither is stored", async () => {
    const cache = new EventCache();
    const keys = ["a", "b"];
    expect(await cache.getOrSetMany(keys, () => new Map([["b", 2]]))).toEqual([undefined, 2]);
    expect(cache.peek("b")).toBe(2);
    expect(await cache.getOrSetMany(["c"], () => [undefined])).toEqual([undefined]);
    expect(cache.stats().entries).toBe(1);
  });

  test("joins what is being computed, and is joined", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const many = deferred<readonly string[]>();
    const calls: (readonly string[])[] = [];
    const single = cache.getOrSet("a", () => slow.promise);
    const batch = cache.getOrSetMany(["a", "b"], (missing) => {
      calls.push(missing);
      return many.promise;
    });
    const joined = cache.getOrSet("b", () => "never asked");
    await settle();
    slow.resolve("single");
    many.resolve(["many"]);
    expect(await batch).toEqual(["single", "many"]);
    expect(await Promise.all([single, joined])).toEqual(["single", "many"]);
    expect(calls).toEqual([["b"]]);
    expect(cache.stats()).toMatchObject({ loads: 2, coalesced: 2 });
  });

  test("each key has its own tags, from the options and from the compute", async () => {
    const cache = new EventCache();
    const options = { tags: (key: string) => [`key:${key}`] };
    const read = (): Promise<unknown> =>
      cache.getOrSetMany(
        ["a", "b", "c"],
        (keys, { tag }) => {
          if (keys.includes("c")) tag("c", "late");
          return keys.map((key) => ({ key }));
        },
        options,
      );
    await read();
    await cache.invalidateByTags(["key:a"]);
    expect(["a", "b", "c"].map((key) => cache.peek(key) !== undefined)).toEqual([
      false,
      true,
      true,
    ]);
    await cache.invalidateByTags(["late"]);
    expect(cache.peek("c")).toBeUndefined();
    await read();
    expect(cache.peek("c")).toEqual({ key: "c" });
  });

  test("an invalidation during the compute keeps back the keys that it covers, and no others", async () => {
    const cache = new EventCache();
    const gate = deferred<readonly string[]>();
    const options = { tags: (key: string) => [key] };
    const before = cache.getOrSetMany(["a", "b"], () => gate.promise, options);
    await cache.invalidateByTags(["a"]);
    const after = cache.getOrSetMany(["a", "b"], (keys) => keys.map(() => "after"), options);
    gate.resolve(["before", "before"]);
    expect(await before).toEqual(["before", "before"]);
    expect(await after).toEqual(["after", "before"]);
    expect([cache.peek("a"), cache.peek("b")]).toEqual(["after", "before"]);
  });

  test("an error fails every key it was computing, and the cache goes on", async () => {
    const cache = new EventCache();
    const { read } = recorder(cache);
    await cache.set("c", "set");
    await expect(cache.getOrSetMany(["a", "b", "c"], fail)).rejects.toThrow("at once");
    await expect(
      cache.getOrSetMany(["a", "b"], (keys, { tag }) => {
        tag("c", "not asked for");
        return keys;
      }),
    ).rejects.toMatchObject({ option: "key" });
    expect(await read(["a", "b"])).toEqual(["a computed", "b computed"]);
    expect(cache.stats()).toMatchObject({ loadErrors: 4, flights: 0 });
  });

  test("its signal aborts when the last of its keys has lost its last reader, and on the time limit", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers, loadTimeoutMs: 30 });
    const controller = new AbortController();
    let signal: AbortSignal | undefined;
    const never = (
      _keys: readonly string[],
      context: { readonly signal: AbortSignal },
    ): Promise<never> => {
      ({ signal } = context);
      return new Promise(() => {});
    };
    const read = cache.getOrSetMany(["a", "b"], never, { signal: controller.signal });
    const single = cache.getOrSet("a", () => 1);
    controller.abort(new Error("gone"));
    await expect(read).rejects.toThrow("gone");
    expect(signal?.aborted).toBe(false);
    timers.fire(30);
    await expect(single).rejects.toMatchObject({ code: "CACHE_LOAD_TIMEOUT" });
    expect(signal?.aborted).toBe(true);
    await expect(cache.getOrSetMany(["a"], never, { signal: controller.signal })).rejects.toThrow(
      "gone",
    );
    expect(cache.stats().flights).toBe(0);
  });

  test("expired values are served stale and refreshed together", async () => {
    const clock = manualClock();
    const cache = new EventCache({
      now: clock.now,
      ttlMs: 10,
      ttlJitter: 0,
      staleWhileRevalidateMs: 100,
    });
    const { calls, read } = recorder(cache);
    await cache.setMany([
      ["a", "old"],
      ["b", "old"],
    ]);
    clock.nowMs += 10;
    expect(await read(["a", "b", "c"])).toEqual(["old", "old", "c computed"]);
    expect(calls).toEqual([["a", "b", "c"]]);
    expect(cache.peek("a")).toBe("a computed");
  });

  test("a cycle by way of a batch is found, whichever of its keys closes it", async () => {
    const cache = new EventCache();
    const read = cache.getOrSetMany(["a", "b"], async (keys) => {
      await cache.getOrSet("c", () => cache.getOrSet("b", () => 1));
      return keys;
    });
    await expect(read).rejects.toMatchObject({ code: "CACHE_CYCLE", path: ["b", "c", "b"] });
  });

  test("while bypassed everything is computed in one call and nothing stored", async () => {
    const cache = new EventCache();
    const { calls, read } = recorder(cache);
    cache.bypass(true);
    await read(["a", "b"]);
    expect(calls).toEqual([["a", "b"]]);
    expect(cache.stats().entries).toBe(0);
  });

  test("works over a store, with as few calls as the store's answers allow", async () => {
    const cache = new EventCache({ store: new Keyv() });
    const { calls, read } = recorder(cache);
    expect(await read(["a", "b", "c"])).toEqual(["a computed", "b computed", "c computed"]);
    expect(calls.flat().toSorted()).toEqual(["a", "b", "c"]);
    expect(await read(["a", "b", "c"])).toEqual(["a computed", "b computed", "c computed"]);
    expect(calls.flat()).toHaveLength(3);
    expect(await cache.getMany(["c", "x"])).toEqual(["c computed", undefined]);
  });
});

describe("many keys over a store", () => {
  test("are read in one call with their fences, and absent fences created in one", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const { calls, read } = recorder(cache);
    const names = ["a", "b", "c"];
    const options = { tags: (key: string) => [`tag:${key}`] };
    await read(names, options);
    expect(store.calls.filter((call) => call.startsWith("getMany"))).toEqual(["getMany 12"]);
    expect(store.calls.filter((call) => call.startsWith("setMany"))[0]).toBe("setMany 9");
    expect(calls).toEqual([names]);
    store.calls.length = 0;
    expect(await read(names, options)).toEqual(["a computed", "b computed", "c computed"]);
    expect(store.calls).toEqual(["getMany 12"]);
    await cache.invalidateByTags(["tag:b"]);
    expect(await cache.getMany(names)).toEqual(["a computed", undefined, "c computed"]);
  });

  test("are read in several calls when there are very many, and one that fails costs its keys only", async () => {
    const store = calmStore();
    const cache = processOn(store);
    const names = Array.from({ length: 1_000 }, (_, index) => `k${index}`);
    await cache.getOrSetMany(names, (missing) => missing);
    store.calls.length = 0;
    expect(await cache.getMany(names)).toEqual(names);
    expect(store.calls).toHaveLength(3);
    for (const call of store.calls) expect(Number(call.split(" ")[1])).toBeLessThanOrEqual(2_000);
    store.fail("lost");
    const found = await cache.getMany(names);
    expect(found.slice(0, 400)).toEqual(names.slice(0, 400).map(() => undefined));
    expect(found.slice(400)).toEqual(names.slice(400));
    expect(cache.stats()).toMatchObject({ storeErrors: 1 });
  });
});

describe("getMany and setMany", () => {
  test("are the sum of their parts", async () => {
    const cache = new EventCache();
    const entries = new Map([
      ["a", 1],
      ["b", 2],
    ]);
    await cache.setMany(entries, { namespace: "n", ttlMs: 50, tags: (key) => [key] });
    expect(await cache.getMany(["b", "x", "a"], { namespace: "n" })).toEqual([2, undefined, 1]);
    await cache.invalidateByTags(["a"]);
    expect(await cache.getMany(["a", "b"], { namespace: "n" })).toEqual([undefined, 2]);
    expect(cache.stats()).toMatchObject({ hits: 3, misses: 2 });
  });

  test("a call with one bad entry stores none", async () => {
    const cache = new EventCache();
    await expect(
      cache.setMany([
        ["a", 1],
        ["", 2],
      ]),
    ).rejects.toMatchObject({ option: "keys" });
    await expect(
      cache.setMany([
        ["a", 1],
        ["b", undefined],
      ]),
    ).rejects.toMatchObject({ option: "value" });
    expect(cache.stats().entries).toBe(0);
  });
});

test("over a store setMany keeps every entry, also those whose keys share a fence", async () => {
  const cache = new EventCache({ store: new Keyv({ store: new Map() }) });
  const entries = Array.from({ length: 2_000 }, (_, index) => [`k${index}`, index] as const);
  await cache.setMany(entries);
  expect(await cache.getMany(entries.map(([key]) => key))).toEqual(
    entries.map(([, value]) => value),
  );
});
