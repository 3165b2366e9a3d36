import { describe, expect, test } from "vitest";
import type { EventCacheOptions, SharedStore } from "../src/index.ts";
import { EventCache, InvalidationError } from "../src/index.ts";
import { MirroredStore } from "./mirrored-store.ts";
import { clock, counter } from "./strict-process.ts";
import { deferred, settle } from "./support.ts";

function calm(kind: "strict" | "lagging" = "strict"): MirroredStore {
  const mirrored = new MirroredStore(kind);
  mirrored.store.immediate = true;
  return mirrored;
}

function cacheOn(mirrored: MirroredStore, options: EventCacheOptions = {}): EventCache {
  return new EventCache({ store: mirrored.client(), now: clock.now, random: () => 0, ...options });
}

/** Counts the reads that asked the store. */
function watched(store: SharedStore): { readonly store: SharedStore; asked: number } {
  const watch = {
    asked: 0,
    store: {
      read: (keys: readonly string[]) => {
        watch.asked++;
        return store.read(keys);
      },
      write: (entries) => store.write(entries),
      remove: (key) => store.remove(key),
      moveFences: (keys, options) => store.moveFences(keys, options),
      mirror: store.mirror,
    } as SharedStore,
  };
  return watch;
}

function peekNamed(cache: EventCache): unknown {
  return cache.peek("k", { namespace: "n" });
}

/** Two clients of one store that hand each other their events. */
function pair(): [SharedStore, SharedStore] {
  const mirrored = calm();
  const listeners: ((event: string) => void)[][] = [[], []];
  const told = (at: number): SharedStore => {
    const store = mirrored.client();
    return {
      ...watched(store).store,
      moveFences: async (keys, options) => {
        const values = await store.moveFences(keys, options);
        if (options.event !== undefined)
          for (const listener of listeners[1 - at] ?? []) listener(options.event);
        return values;
      },
      listen: (listener) => {
        listeners[at]?.push(listener);
        return { [Symbol.dispose]: () => listeners[at]?.splice(0) };
      },
    };
  };
  return [told(0), told(1)];
}

describe("the near tier", () => {
  test("a hit asks no store, by getOrSet, get and peek, in a namespace too", async () => {
    const watch = watched(calm().client());
    const cache = new EventCache({ store: watch.store });
    const options = { tags: ["t"], namespace: "n" };
    await cache.getOrSet("k", () => 1, options);
    const { asked } = watch;
    expect(await cache.getOrSet("k", () => 2, options)).toBe(1);
    expect(await cache.get("k", { namespace: "n" })).toBe(1);
    expect(cache.peek("k", { namespace: "n" })).toBe(1);
    expect(cache.peek("k")).toBeUndefined();
    expect(watch.asked).toBe(asked);
    expect(cache.stats()).toMatchObject({ hits: 3, misses: 1, entries: 1 });
    expect(cache.stats().byNamespace["n"]).toMatchObject({ hits: 3, entries: 1 });
  });

  test("a value that was set is near, and one that another process stored is after the first read", async () => {
    const mirrored = calm();
    const [a, b] = [cacheOn(mirrored), cacheOn(mirrored)];
    await a.set("k", 1, { tags: ["t"] });
    expect(a.peek("k")).toBe(1);
    expect(b.peek("k")).toBeUndefined();
    expect(await b.get("k")).toBe(1);
    expect(b.peek("k")).toBe(1);
  });

  test.each([
    ["a tag", (cache: EventCache) => cache.invalidateByTags(["t"])],
    ["a tag that came out of the compute", (cache: EventCache) => cache.invalidateByTags(["late"])],
    ["the key", (cache: EventCache) => cache.delete("k", { namespace: "n" })],
    ["the namespace", (cache: EventCache) => cache.clear({ namespace: "n" })],
    ["everything", (cache: EventCache) => cache.clear()],
  ])("%s invalidated is gone at once, here and elsewhere", async (_what, invalidate) => {
    const mirrored = calm();
    const [a, b] = [cacheOn(mirrored), cacheOn(mirrored)];
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
    await read(b);
    expect([peekNamed(a), peekNamed(b)]).toEqual([1, 1]);
    await invalidate(b);
    expect([peekNamed(a), peekNamed(b)]).toEqual([undefined, undefined]);
    expect([await read(a), await read(b)]).toEqual([2, 2]);
  });

  test("what is computed while a fence moves is not kept", async () => {
    const cache = cacheOn(calm());
    const slow = deferred<string>();
    const old = cache.getOrSet("k", () => slow.promise, { tags: ["t"] });
    await settle();
    await cache.invalidateByTags(["t"]);
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0 });
  });

  test("an invalidation that the store refused holds in this process, mirror or not", async () => {
    const mirrored = calm();
    const cache = cacheOn(mirrored);
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    mirrored.store.down = true;
    await expect(cache.invalidateByTags(["t"])).rejects.toThrow(InvalidationError);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.getOrSet("k", () => 2, { tags: ["t"] })).toBe(2);
  });

  test("readers share a frozen value, as it comes back from the store", async () => {
    const cache = cacheOn(calm());
    const made = { at: new Date(0), list: [{ deep: 1 }] };
    expect(await cache.getOrSet("k", () => made)).toBe(made);
    expect(Object.isFrozen(made)).toBe(false);
    const near = cache.peek<typeof made>("k");
    expect(near).toEqual({ at: "1970-01-01T00:00:00.000Z", list: [{ deep: 1 }] });
    expect(cache.peek("k")).toBe(near);
    expect(() => near?.list.push({ deep: 2 })).toThrow(TypeError);
    expect(() => Object.assign(near?.list[0] ?? {}, { deep: 2 })).toThrow(TypeError);
  });

  test("entries and bytes are bounded and counted, evictions told", async () => {
    const cache = cacheOn(calm(), { maxEntries: 10, maxBytes: 100_000 });
    const evicted: string[] = [];
    cache.on("evict", ({ key }) => evicted.push(key));
    for (let index = 0; index < 30; index++) await cache.set(`k${index}`, "x".repeat(100));
    expect(cache.stats().entries).toBe(10);
    expect(cache.stats().memoryBytes).toBeGreaterThan(10 * 100);
    expect(evicted).toHaveLength(20);
    await cache.set("large", "x".repeat(60_000));
    expect(cache.peek("large")).toBeUndefined();
    expect(await cache.get("large")).toHaveLength(60_000);
    await cache.clear();
    for (let index = 0; index < 30; index++) await cache.get(`k${index}`);
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0 });
  });

  test("entries expire by the time that the store has", async () => {
    const mirrored = calm();
    const [a, b] = [cacheOn(mirrored), cacheOn(mirrored)];
    await a.set("k", 1, { ttlMs: 50 });
    await b.get("k");
    clock.nowMs += 49;
    expect([a.peek("k"), b.peek("k")]).toEqual([1, 1]);
    clock.nowMs += 1;
    expect([a.peek("k"), b.peek("k")]).toEqual([undefined, undefined]);
  });

  test("bypassed nothing is served or kept, and what was invalidated meanwhile does not come back", async () => {
    const mirrored = calm();
    const [a, b] = [cacheOn(mirrored), cacheOn(mirrored)];
    for (const key of ["k", "kept"]) await a.getOrSet(key, () => 1, { tags: [key] });
    a.bypass(true);
    expect([a.peek("k"), await a.get("k")]).toEqual([undefined, undefined]);
    expect(await a.getOrSet("k", () => 2, { tags: ["k"] })).toBe(2);
    await b.invalidateByTags(["k"]);
    a.bypass(false);
    expect([a.peek("k"), a.peek("kept")]).toEqual([undefined, 1]);
  });

  test("closed it holds nothing, also of computes that end later", async () => {
    const cache = cacheOn(calm());
    await cache.set("k", 1);
    await cache.close();
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0 });
  });

  test("a sampled hit near is compared, and goes when it differs", async () => {
    const cache = cacheOn(calm(), { verifyRatio: 1 });
    await cache.getOrSet("k", () => 1);
    expect(await cache.getOrSet("k", () => 2)).toBe(1);
    await settle();
    expect(cache.stats().verifyMismatches).toBe(1);
    expect(cache.peek("k")).toBeUndefined();
  });

  test("a value that JSON cannot hold is returned and not kept", async () => {
    const cache = cacheOn(calm());
    for (const value of [1n, () => 1]) expect(await cache.getOrSet("k", () => value)).toBe(value);
    expect(cache.stats().entries).toBe(0);
  });
});

describe("a mirror that may lag", () => {
  test("is not used unless asked for", async () => {
    const cache = cacheOn(calm("lagging"));
    await cache.getOrSet("k", () => 1);
    await cache.getOrSet("k", () => 1);
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats().entries).toBe(0);
  });

  test("serves until the message arrives, but an own invalidation holds at once", async () => {
    const mirrored = calm("lagging");
    const [a, b] = [0, 1].map(() => cacheOn(mirrored, { consistency: "mirrored" }));
    const warm = async (): Promise<void> => {
      for (const at of [0, 1, 0, 1]) {
        while (mirrored.deliver(at));
        await [a, b][at]?.getOrSet("k", () => 1, { tags: ["t"] });
      }
    };
    await warm();
    expect([a?.peek("k"), b?.peek("k")]).toEqual([1, 1]);
    await b?.invalidateByTags(["t"]);
    expect([a?.peek("k"), b?.peek("k")]).toEqual([1, undefined]);
    while (mirrored.deliver(0));
    expect(a?.peek("k")).toBeUndefined();
  });

  test("that lost its link is not asked; when it is back, a read asks the store and the entry is near again", async () => {
    const mirrored = calm("lagging");
    const cache = cacheOn(mirrored, { consistency: "mirrored" });
    await cache.getOrSet("k", () => 1);
    while (mirrored.deliver(0));
    await cache.get("k");
    expect(cache.peek("k")).toBe(1);
    mirrored.link(0, false);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBe(1);
    mirrored.link(0, true);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBe(1);
    expect(cache.peek("k")).toBe(1);
  });
});

describe("events of other processes", () => {
  test("reach the subscribers of the cache of that name, with a rule or without, once", async () => {
    const [here, there] = pair();
    const one = new EventCache({ store: here, rules: { taskCompleted: () => ["tasks"] } });
    const two = new EventCache({ store: there });
    const other = new EventCache({ store: there, name: "other" });
    const seen: unknown[] = [];
    for (const cache of [one, two, other])
      for (const type of ["taskCompleted", "agentCreated"] as const)
        cache.bus.on(type, (event) =>
          seen.push([cache === one ? 1 : cache === two ? 2 : 3, event]),
        );
    const task = { type: "taskCompleted", taskId: "7" } as const;
    const agent = { type: "agentCreated", agentId: "a" } as const;
    await one.bus.emit(task);
    await one.bus.emit(agent);
    expect(seen).toEqual(
      expect.arrayContaining([
        [1, task],
        [2, task],
        [1, agent],
        [2, agent],
      ]),
    );
    expect(seen).toHaveLength(4);
    await two.close();
    await one.bus.emit(task);
    expect(seen).toHaveLength(5);
  });

  test("one that is not JSON invalidates all the same and is told", async () => {
    const [here] = pair();
    const cache = new EventCache<{ type: "odd"; size: bigint }>({
      store: here,
      rules: { odd: () => ["t"] },
    });
    const failed: string[] = [];
    cache.on("subscriberError", ({ type }) => failed.push(type));
    await cache.getOrSet("k", () => 1, { tags: ["t"] });
    await cache.bus.emit({ type: "odd", size: 1n });
    expect(cache.peek("k")).toBeUndefined();
    expect(failed).toEqual(["odd"]);
  });

  test.each(["", "{", "[]", '["default"]', '["default",{"type":1}]', "null"])(
    "rubbish is no event: %o",
    (text) => {
      let hear: ((event: string) => void) | undefined;
      const listen = (listener: (event: string) => void): Disposable => {
        hear = listener;
        return { [Symbol.dispose]() {} };
      };
      const cache = new EventCache({ store: { ...watched(calm().client()).store, listen } });
      const seen: unknown[] = [];
      cache.bus.on("agentCreated", (event) => seen.push(event));
      hear?.(text);
      expect(seen).toEqual([]);
    },
  );
});
