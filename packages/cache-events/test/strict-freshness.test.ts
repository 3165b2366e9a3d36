import { describe, expect, test } from "vitest";
import type { EventCacheOptions, StaleHitEvent } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import type { FaultyStore } from "./faulty-store.ts";
import { MirroredStore } from "./mirrored-store.ts";
import { calmStore } from "./strict-process.ts";
import { ManualTimers, deferred, manualClock, settle } from "./support.ts";

const clock = manualClock(Date.now());
const base: EventCacheOptions = { ttlMs: 100, ttlJitter: 0, now: clock.now };

function create(options: EventCacheOptions, store: FaultyStore = calmStore()) {
  const timers = new ManualTimers();
  const cache = new EventCache({ ...base, store: store.client(), timers, ...options });
  const stale: StaleHitEvent[] = [];
  cache.on("staleHit", (event) => stale.push(event));
  return { cache, timers, stale, store };
}

/** A cache with entries in memory over a store that can be shut off. */
function createNear(options: EventCacheOptions) {
  const mirrored = new MirroredStore("strict");
  mirrored.store.immediate = true;
  const cache = new EventCache({ ...base, store: mirrored.client(), ...options });
  const other = new EventCache({ ...base, store: mirrored.client(), ...options });
  return { cache, other, store: mirrored.store };
}

function source() {
  const asked: PromiseWithResolvers<string>[] = [];
  const compute = (): Promise<string> => {
    const answer = deferred<string>();
    asked.push(answer);
    return answer.promise;
  };
  return { asked, compute };
}

const fail = (): never => {
  throw new Error("source is down");
};
const never = (): Promise<string> => new Promise(() => {});
const options = { tags: ["t"], namespace: "n" };

describe("stale while revalidate over a store", () => {
  test("an expired value is served at once, and refreshed once for all readers of the process", async () => {
    const { cache, stale, store } = create({ staleWhileRevalidateMs: 50 });
    const { cache: other } = create({ staleWhileRevalidateMs: 50 }, store);
    const { asked, compute } = source();
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 149;
    for (let read = 0; read < 2; read++) expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: 2, staleHits: 2, misses: 0, refreshes: 1 });
    expect(stale[0]).toEqual({ key: "k", namespace: "", reason: "refresh", ageMs: 49 });
    expect(await other.get("k")).toBeUndefined();
    asked[0]?.resolve("new");
    await settle();
    expect(await other.get("k")).toBe("new");
    expect(cache.stats()).toMatchObject({ staleHits: 2, refreshes: 0, flights: 0 });
  });

  test("one that is too old, for who computed it or for who reads it, is not", async () => {
    const { cache } = create({ staleWhileRevalidateMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 150;
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    clock.nowMs += 120;
    expect(await cache.getOrSet("k", () => "newer", { staleWhileRevalidateMs: 20 })).toBe("newer");
    clock.nowMs += 160;
    const long = { staleWhileRevalidateMs: 999 };
    expect(await cache.getOrSet("k", () => "newest", long)).toBe("newest");
    expect(cache.stats().staleHits).toBe(0);
  });

  test("the store keeps what it is given for as long as it may be served stale, and for ever if need be", async () => {
    const written: (number | undefined)[] = [];
    const mirrored = new MirroredStore("strict");
    mirrored.store.immediate = true;
    const client = mirrored.client();
    const store = {
      read: client.read.bind(client),
      remove: client.remove.bind(client),
      moveFences: client.moveFences.bind(client),
      write: (entries: Parameters<typeof client.write>[0]) => {
        written.push(...entries.map(({ expiresInMs }) => expiresInMs));
        return client.write(entries);
      },
    };
    const cache = new EventCache({ ...base, store, staleWhileRevalidateMs: 50 });
    await cache.set("k", 1);
    await cache.getOrSet("l", () => 1, { staleIfErrorMs: 900 });
    await cache.getOrSet("m", () => 1, { staleIfErrorMs: Infinity });
    expect(written).toEqual([150, 1_000, undefined]);
    clock.nowMs += 1e9;
    expect(await cache.getOrSet("m", fail, { staleIfErrorMs: Infinity })).toBe(1);
  });

  const invalidations: readonly (readonly [string, (cache: EventCache) => Promise<void>])[] = [
    ["tag", (cache) => cache.invalidateByTags(["t"])],
    ["key", (cache) => cache.delete("k", { namespace: "n" })],
    ["namespace", (cache) => cache.clear({ namespace: "n" })],
    ["everything", (cache) => cache.clear()],
  ];
  const forEver = { staleWhileRevalidateMs: Infinity, staleIfErrorMs: Infinity };

  test.each(invalidations)(
    "an invalidation by another process ends it: %s, before the value is stale, while it is, and during the refresh",
    async (_what, invalidate) => {
      const { cache, store } = create(forEver);
      const { cache: other } = create(forEver, store);
      const { asked, compute } = source();
      await cache.set("k", "old", options);
      await invalidate(other);
      clock.nowMs += 100;
      await expect(cache.getOrSet("k", fail, options)).rejects.toThrow("down");
      await cache.set("k", "old", options);
      clock.nowMs += 100;
      await invalidate(other);
      await expect(cache.getOrSet("k", fail, options)).rejects.toThrow("down");
      await cache.set("k", "old", options);
      clock.nowMs += 100;
      expect(await cache.getOrSet("k", compute, options)).toBe("old");
      await invalidate(other);
      const after = cache.getOrSet("k", () => "after", options);
      await settle();
      asked[0]?.resolve("computed before");
      expect(await after).toBe("after");
      await settle();
      expect(await other.get("k", { namespace: "n" })).toBe("after");
      expect(cache.stats()).toMatchObject({ staleHits: 1, refreshes: 0 });
    },
  );

  test("no more than maxRefreshes at once, and none for a second after one that failed", async () => {
    const { cache, stale } = create({ staleWhileRevalidateMs: 10_000, maxRefreshes: 1 });
    const { asked, compute } = source();
    for (const key of ["a", "b"]) await cache.set(key, "old");
    clock.nowMs += 100;
    for (const key of ["a", "b", "b"]) expect(await cache.getOrSet(key, compute)).toBe("old");
    expect(asked).toHaveLength(1);
    asked[0]?.reject(new Error("no"));
    await settle();
    expect(await cache.getOrSet("a", compute)).toBe("old");
    expect(asked).toHaveLength(1);
    expect(stale.at(-1)?.reason).toBe("retry");
    clock.nowMs += 1_000;
    expect(await cache.getOrSet("a", compute)).toBe("old");
    expect(asked).toHaveLength(2);
    expect(cache.stats()).toMatchObject({ loads: 2, loadErrors: 1 });
  });

  test("a refresh that finds nothing takes the old value with it, in the store", async () => {
    const { cache, store } = create({ staleWhileRevalidateMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(await cache.getOrSet<unknown>("k", () => undefined)).toBe("old");
    await settle();
    expect([...store.data.keys()].filter((key) => key.includes(":e:"))).toEqual([]);
  });

  test("stale values are served and refreshed together, after one look at the store", async () => {
    const { cache, store } = create({ staleWhileRevalidateMs: 50 });
    const entries = ["a", "b", "c"].map((key) => [key, "old"] as const);
    await cache.setMany(entries, { tags: ["t"] });
    clock.nowMs += 100;
    store.calls.length = 0;
    const calls: (readonly string[])[] = [];
    const read = cache.getOrSetMany(["a", "b", "c"], (keys) => {
      calls.push(keys);
      return keys.map(() => "new");
    });
    expect(await read).toEqual(["old", "old", "old"]);
    expect(store.calls[0]).toMatch(/^getMany/);
    expect(store.calls.filter((call) => call.startsWith("getMany"))).toHaveLength(2);
    await settle();
    await settle();
    expect(calls).toEqual([["a", "b", "c"]]);
    expect(await cache.getMany(["a", "b", "c"])).toEqual(["new", "new", "new"]);
  });
});

describe("stale if error over a store", () => {
  test("an expired value stands in for a compute that fails or times out, and no second try follows at once", async () => {
    const setting = { staleIfErrorMs: 9_000, loadTimeoutMs: 30 };
    const { cache, timers, stale } = create(setting);
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(await cache.getOrSet("k", fail)).toBe("old");
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 1, staleHits: 1, loadErrors: 1 });
    expect(await cache.getOrSet("k", fail)).toBe("old");
    clock.nowMs += 1_000;
    const reads = [0, 1].map(() => cache.getOrSet("k", () => new Promise<string>(() => {})));
    await settle();
    timers.fire(30);
    expect(await Promise.all(reads)).toEqual(["old", "old"]);
    expect(stale.map(({ reason }) => reason)).toEqual(["error", "retry", "error", "error"]);
    clock.nowMs += 8_000;
    await expect(cache.getOrSet("k", fail)).rejects.toThrow("down");
  });

  test("a value that another process invalidated or set anew while the compute ran does not stand in", async () => {
    const { cache, store } = create({ staleIfErrorMs: Infinity });
    const { cache: other } = create({}, store);
    const { asked, compute } = source();
    for (const end of [
      () => other.invalidateByTags(["t"]),
      () => other.delete("k"),
      () => other.set("k", "set"),
    ]) {
      await cache.set("k", "old", { tags: ["t"] });
      clock.nowMs += 100;
      const read = cache.getOrSet("k", compute);
      await settle();
      await end();
      asked.pop()?.reject(new Error("too late"));
      await expect(read).rejects.toThrow("too late");
    }
    expect(cache.stats().staleHits).toBe(0);
  });

  test("a store that is gone when the compute fails cannot vouch for the value, which is not served", async () => {
    const { cache, store } = create({ staleIfErrorMs: Infinity });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 100;
    const read = cache.getOrSet("k", compute);
    await settle();
    store.down = true;
    asked[0]?.reject(new Error("the source, too"));
    await expect(read).rejects.toThrow("the source, too");
    await expect(cache.getOrSet("k", fail)).rejects.toThrow("down");
    expect(cache.stats().staleHits).toBe(0);
  });

  test("neither an abort of the reader nor the end of the cache is such an error", async () => {
    const { cache } = create({ staleIfErrorMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    const controller = new AbortController();
    const read = cache.getOrSet("k", never, { signal: controller.signal });
    await settle();
    controller.abort(new Error("gone"));
    await expect(read).rejects.toThrow("gone");
    const other = cache.getOrSet("k", never);
    await settle();
    await cache.close();
    await expect(other).rejects.toMatchObject({ code: "CACHE_CLOSED" });
  });
});

describe("a soft timeout over a store", () => {
  test("serves the expired value while the compute goes on, whose result is stored", async () => {
    const { cache, timers, stale } = create({ staleIfErrorMs: 500, softTimeoutMs: 20 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 100;
    const read = cache.getOrSet("k", compute);
    await settle();
    timers.fire(20);
    expect(await read).toBe("old");
    expect(stale).toMatchObject([{ reason: "timeout" }]);
    asked[0]?.resolve("new");
    await settle();
    expect(await cache.get("k")).toBe("new");
    expect(timers.delaysMs).toEqual([]);
  });

  test("a result that comes while the store is asked is what the reader gets, and no stale hit is counted", async () => {
    const { cache, timers, store } = create({ staleIfErrorMs: 500, softTimeoutMs: 20 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 100;
    const read = cache.getOrSet("k", compute);
    await settle();
    store.immediate = false;
    timers.fire(20);
    await settle();
    asked[0]?.resolve("new");
    await store.run(/set/);
    expect(await read).toBe("new");
    await store.run(/./);
    expect(cache.stats().staleHits).toBe(0);
    expect(timers.delaysMs).toEqual([]);
  });
});

describe("eager refresh over a store", () => {
  test("the first read after that share of the lifetime gets its hit and refreshes, once for each entry", async () => {
    const { cache } = create({ eagerRefreshRatio: 0.8 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 79;
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(0);
    clock.nowMs += 1;
    for (let read = 0; read < 3; read++) expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(await cache.get("k")).toBe("old");
    expect(asked).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: 5, misses: 0, staleHits: 0, refreshes: 1 });
    asked[0]?.reject(new Error("no"));
    await settle();
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(1);
  });

  test("in memory it is a hit until then, and again once it is being refreshed", async () => {
    const { cache, store } = createNear({ eagerRefreshRatio: 0.5 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 60;
    expect(cache.peek("k")).toBe("old");
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(1);
    store.down = true;
    expect(await cache.getOrSet("k", fail)).toBe("old");
    expect(cache.stats()).toMatchObject({ hits: 3, storeErrors: 0 });
  });
});

describe("what is in memory while the store is down", () => {
  const forEver = { staleWhileRevalidateMs: Infinity, staleIfErrorMs: Infinity };

  test("is served stale while its fences are vouched for, at once or for a compute that fails", async () => {
    const { cache, store } = createNear(forEver);
    await cache.set("k", "old");
    clock.nowMs += 100;
    store.down = true;
    expect(await cache.getOrSet("k", () => "new")).toBe("old");
    const onlyErrors = { staleWhileRevalidateMs: 0 };
    expect(await cache.getOrSet("k", fail, onlyErrors)).toBe("old");
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1, staleHits: 2 });
  });

  test("is not served once this process or another invalidated it, or tried to", async () => {
    const { cache, other, store } = createNear(forEver);
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 100;
    await other.invalidateByTags(["t"]);
    store.down = true;
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    store.down = false;
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 100;
    store.down = true;
    await expect(cache.invalidateByTags(["t"])).rejects.toMatchObject({
      code: "CACHE_INVALIDATION",
    });
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    expect(cache.stats().staleHits).toBe(0);
  });

  test("is not served when the mirror is not to be trusted", async () => {
    const mirrored = new MirroredStore("lagging");
    mirrored.store.immediate = true;
    const setting: EventCacheOptions = { ...base, ...forEver, consistency: "mirrored" };
    const cache = new EventCache({ ...setting, store: mirrored.client() });
    await cache.getOrSet("k", () => "old");
    while (mirrored.deliver(0));
    await cache.get("k");
    clock.nowMs += 100;
    mirrored.store.down = true;
    mirrored.link(0, false);
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    expect(cache.stats().staleHits).toBe(0);
  });
});

describe("negative caching over a store", () => {
  test("undefined and null are stored for a ttl of their own, for all processes", async () => {
    const setting = { negativeTtlMs: 10, staleWhileRevalidateMs: 1_000, eagerRefreshRatio: 0.1 };
    const { cache, store } = create(setting);
    const { cache: other } = create(setting, store);
    for (const nothing of [undefined, null]) {
      let computes = 0;
      const read = (from: EventCache): Promise<unknown> =>
        from.getOrSet<unknown>("k", () => {
          computes++;
          return nothing;
        });
      expect([await read(cache), await read(other), computes]).toEqual([nothing, nothing, 1]);
      clock.nowMs += 9;
      expect([await read(other), computes]).toEqual([nothing, 1]);
      clock.nowMs += 1;
      expect([await read(other), computes]).toEqual([nothing, 2]);
      await cache.delete("k");
    }
    expect(other.stats()).toMatchObject({ staleHits: 0 });
  });

  test("errors that are answers are kept by the process that met them, until a fence moves or their ttl is over", async () => {
    class NotFound extends Error {}
    const setting: EventCacheOptions = {
      negativeTtlMs: 10,
      negativeErrors: (error) => error instanceof NotFound,
      staleIfErrorMs: 1_000,
    };
    const { cache, store } = create(setting);
    const { cache: other } = create(setting, store);
    const stored: boolean[] = [];
    cache.on("load", (event) => stored.push(event.stored));
    let computes = 0;
    const read = (from: EventCache, error: Error, tags: readonly string[] = ["t"]) =>
      from.getOrSet(
        "k",
        ({ tag }) => {
          computes++;
          tag("late");
          throw error;
        },
        { tags },
      );
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 100;
    const gone = new NotFound("gone");
    await expect(read(cache, gone)).rejects.toBe(gone);
    await expect(read(cache, new NotFound("again"))).rejects.toBe(gone);
    expect(computes).toBe(1);
    expect(await cache.get("k")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, staleHits: 0 });
    await expect(read(other, new NotFound("elsewhere"))).rejects.toThrow("elsewhere");
    await other.invalidateByTags(["late"]);
    await expect(read(cache, new NotFound("after"), [])).rejects.toThrow("after");
    await other.invalidateByTags(["t"]);
    await expect(read(cache, new NotFound("after"))).rejects.toThrow("after");
    expect(await cache.getOrSet("other", () => "there", { tags: ["t"] })).toBe("there");
    clock.nowMs += 10;
    await expect(read(cache, new Error("down"))).rejects.toThrow("down");
    expect(stored).toEqual([true, true, true, false]);
  });

  test("an error whose fence moved during the compute is not kept", async () => {
    const setting = { negativeTtlMs: 10, negativeErrors: () => true };
    const { cache, store } = create(setting);
    const { cache: other } = create(setting, store);
    const { asked, compute } = source();
    const read = cache.getOrSet("k", compute, { tags: ["t"] });
    await settle();
    await other.invalidateByTags(["t"]);
    asked[0]?.reject(new Error("before"));
    await expect(read).rejects.toThrow("before");
    expect(await cache.getOrSet("k", () => "after", { tags: ["t"] })).toBe("after");
  });
});
