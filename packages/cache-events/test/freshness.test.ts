import { describe, expect, test } from "vitest";
import type { EventCacheOptions, StaleHitEvent } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import { ManualTimers, deferred, manualClock, settle } from "./support.ts";

function create(options: EventCacheOptions) {
  const clock = manualClock();
  const timers = new ManualTimers();
  const cache = new EventCache({
    ttlMs: 100,
    ttlJitter: 0,
    now: clock.now,
    timers,
    ...options,
  });
  const stale: StaleHitEvent[] = [];
  cache.on("staleHit", (event) => stale.push(event));
  return { cache, clock, timers, stale };
}

/** A source whose answers the test gives, one by one. */
function source() {
  const asked: PromiseWithResolvers<string>[] = [];
  return {
    asked,
    compute: () => {
      const answer = deferred<string>();
      asked.push(answer);
      return answer.promise;
    },
  };
}

const never = (): Promise<string> => new Promise(() => {});

const fail = (): never => {
  throw new Error("source is down");
};

describe("stale while revalidate", () => {
  test("an expired value is served at once, and refreshed once for all who read it", async () => {
    const { cache, clock, stale } = create({ staleWhileRevalidateMs: 50 });
    const { asked, compute } = source();
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 149;
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: 2, staleHits: 2, misses: 0, refreshes: 1 });
    expect(stale[0]).toEqual({ key: "k", namespace: "", reason: "refresh", ageMs: 49 });
    asked[0]?.resolve("new");
    await settle();
    expect(cache.peek("k")).toBe("new");
    expect(cache.stats()).toMatchObject({ staleHits: 2, refreshes: 0, flights: 0 });
  });

  test("one that is too old, for who computed it or for who reads it, is not", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 150;
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    clock.nowMs += 120;
    expect(await cache.getOrSet("k", () => "newer", { staleWhileRevalidateMs: 20 })).toBe("newer");
    clock.nowMs += 160;
    expect(await cache.getOrSet("k", () => "newest", { staleWhileRevalidateMs: 999 })).toBe(
      "newest",
    );
    expect(cache.stats().staleHits).toBe(0);
  });

  test("peek and get know nothing of stale values", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.getOrSet("k", () => "new")).toBe("old");
  });

  const invalidations: readonly (readonly [string, (cache: EventCache) => Promise<void>])[] = [
    ["tag", (cache) => cache.invalidateByTags(["t"])],
    ["key", (cache) => cache.delete("k", { namespace: "n" })],
    ["prefix", (cache) => cache.clear({ prefix: "k" })],
    ["namespace", (cache) => cache.clear({ namespace: "n" })],
    ["tag in a namespace", (cache) => cache.clear({ tags: ["t"], namespace: "n" })],
    ["everything", (cache) => cache.clear()],
  ];
  const options = { namespace: "n", tags: ["t"] };

  test.each(invalidations)(
    "an invalidation ends it: %s, before the value is stale, while it is, and during the refresh",
    async (_what, invalidate) => {
      const setting = { staleWhileRevalidateMs: Infinity, staleIfErrorMs: Infinity };
      const { cache, clock } = create(setting);
      const { asked, compute } = source();
      await cache.set("k", "old", options);
      await invalidate(cache);
      clock.nowMs += 100;
      await expect(cache.getOrSet("k", fail, options)).rejects.toThrow("down");
      await cache.set("k", "old", options);
      clock.nowMs += 100;
      await invalidate(cache);
      await expect(cache.getOrSet("k", fail, options)).rejects.toThrow("down");
      await cache.set("k", "old", options);
      clock.nowMs += 100;
      expect(await cache.getOrSet("k", compute, options)).toBe("old");
      await invalidate(cache);
      const after = cache.getOrSet("k", () => "after", options);
      asked[0]?.resolve("computed before");
      expect(await after).toBe("after");
      await settle();
      expect(cache.peek("k", options)).toBe("after");
      expect(cache.stats().staleHits).toBe(1);
      expect(cache.stats().byNamespace["n"]?.staleHits).toBe(1);
    },
  );

  test("a refresh whose fence moved stores nothing, even when nobody reads in between", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50 });
    const { asked, compute } = source();
    await cache.set("k", "old", options);
    clock.nowMs += 100;
    expect(await cache.getOrSet("k", compute, options)).toBe("old");
    await cache.invalidateByTags(["t"]);
    asked[0]?.resolve("computed before");
    await settle();
    expect(cache.peek("k", options)).toBeUndefined();
    expect(cache.stats()).toMatchObject({ flights: 0, refreshes: 0 });
  });

  test("no more than maxRefreshes at once: the others stay stale a little longer", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50, maxRefreshes: 2 });
    const { asked, compute } = source();
    for (const key of ["a", "b", "c"]) await cache.set(key, "old");
    clock.nowMs += 100;
    for (const key of ["a", "b", "c", "c"]) expect(await cache.getOrSet(key, compute)).toBe("old");
    expect(asked).toHaveLength(2);
    asked[0]?.resolve("new");
    await settle();
    expect(await cache.getOrSet("c", compute)).toBe("old");
    expect(asked).toHaveLength(3);
  });

  test("a refresh that fails is not repeated for a second", async () => {
    const { cache, clock, stale } = create({ staleWhileRevalidateMs: 10_000 });
    let computes = 0;
    const failing = (): never => {
      computes++;
      return fail();
    };
    await cache.set("k", "old");
    clock.nowMs += 100;
    for (let read = 0; read < 3; read++) {
      expect(await cache.getOrSet("k", failing)).toBe("old");
      await settle();
    }
    expect(computes).toBe(1);
    expect(stale.map(({ reason }) => reason)).toEqual(["refresh", "retry", "retry"]);
    clock.nowMs += 1_000;
    expect(await cache.getOrSet("k", failing)).toBe("old");
    expect(computes).toBe(2);
    expect(cache.stats()).toMatchObject({ loads: 2, loadErrors: 2 });
  });

  test("a refresh that finds nothing takes the old value with it", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(await cache.getOrSet<unknown>("k", () => undefined)).toBe("old");
    await settle();
    expect(cache.stats().entries).toBe(0);
  });

  test("a reader that joins a refresh and aborts leaves it running", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(await cache.getOrSet("k", compute)).toBe("old");
    clock.nowMs += 50;
    const controller = new AbortController();
    const joined = cache.getOrSet("k", compute, { signal: controller.signal });
    controller.abort(new Error("gone"));
    await expect(joined).rejects.toThrow("gone");
    asked[0]?.resolve("new");
    await settle();
    expect(cache.peek("k")).toBe("new");
  });

  test("expired values that may still be served give way to none but the newer ones", async () => {
    const { cache, clock } = create({ staleWhileRevalidateMs: 50, maxEntries: 4 });
    for (const key of ["a", "b", "c", "d"]) await cache.set(key, "old");
    clock.nowMs += 149;
    await cache.set("e", "new");
    expect(cache.stats().evictions).toBe(1);
    clock.nowMs += 1;
    await cache.set("f", "new");
    expect(cache.stats().evictions).toBe(1);
  });
});

describe("stale if error", () => {
  test("an expired value stands in for a compute that fails, times out or is refused a second try", async () => {
    const { cache, clock, timers, stale } = create({ staleIfErrorMs: 9_000, loadTimeoutMs: 30 });
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

  test("a value invalidated or replaced while the compute ran does not stand in for its error", async () => {
    const { cache, clock } = create({ staleIfErrorMs: Infinity });
    const { asked, compute } = source();
    for (const end of [
      () => cache.invalidateByTags(["t"]),
      () => cache.delete("k"),
      () => cache.set("k", "set"),
    ]) {
      await cache.set("k", "old", { tags: ["t"] });
      clock.nowMs += 100;
      const read = cache.getOrSet("k", compute);
      await end();
      asked.pop()?.reject(new Error("too late"));
      await expect(read).rejects.toThrow("too late");
    }
    expect(cache.stats().staleHits).toBe(0);
  });

  test("a value that got too old while the compute ran does not either", async () => {
    const { cache, clock } = create({ staleIfErrorMs: 50 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 149;
    const read = cache.getOrSet("k", compute);
    clock.nowMs += 1;
    asked[0]?.reject(new Error("too late"));
    await expect(read).rejects.toThrow("too late");
  });

  test("neither an abort of the reader nor the end of the cache is such an error", async () => {
    const { cache, clock } = create({ staleIfErrorMs: 50 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    const controller = new AbortController();
    const read = cache.getOrSet("k", never, { signal: controller.signal });
    controller.abort(new Error("gone"));
    await expect(read).rejects.toThrow("gone");
    const other = cache.getOrSet("k", never);
    await cache.close();
    await expect(other).rejects.toMatchObject({ code: "CACHE_CLOSED" });
  });
});

describe("a soft timeout", () => {
  test("serves the expired value while the compute goes on, whose result is stored", async () => {
    const { cache, clock, timers, stale } = create({ staleIfErrorMs: 500, softTimeoutMs: 20 });
    const { asked, compute } = source();
    await cache.set("k", "old");
    clock.nowMs += 100;
    const controller = new AbortController();
    const read = cache.getOrSet("k", compute, { signal: controller.signal });
    await settle();
    timers.fire(20);
    expect(await read).toBe("old");
    expect(stale).toMatchObject([{ reason: "timeout" }]);
    controller.abort();
    asked[0]?.resolve("new");
    await settle();
    expect(cache.peek("k")).toBe("new");
    expect(timers.delaysMs).toEqual([]);
  });

  test("changes nothing without an expired value, or when that was invalidated meanwhile", async () => {
    const { cache, clock, timers } = create({ staleIfErrorMs: 500, softTimeoutMs: 20 });
    const { asked, compute } = source();
    const first = cache.getOrSet("k", compute, { tags: ["t"] });
    expect(timers.delaysMs).not.toContain(20);
    asked[0]?.resolve("old");
    await first;
    clock.nowMs += 100;
    let served: unknown;
    const read = cache.getOrSet("k", compute, { tags: ["t"] }).then((value) => (served = value));
    await cache.invalidateByTags(["t"]);
    timers.fire(20);
    await settle();
    expect(served).toBeUndefined();
    asked[1]?.resolve("new");
    expect(await read).toBe("new");
    expect(timers.delaysMs).toEqual([]);
  });

  test("a compute that is in time costs nothing but a timer that is cleared", async () => {
    const { cache, clock, timers } = create({ staleIfErrorMs: 500, softTimeoutMs: 20 });
    await cache.set("k", "old");
    clock.nowMs += 100;
    expect(await cache.getOrSet("k", () => "new")).toBe("new");
    expect(timers.delaysMs).toEqual([]);
    expect(cache.stats().staleHits).toBe(0);
  });
});

describe("eager refresh", () => {
  test("the first read after that share of the lifetime gets its hit and refreshes, once for each entry", async () => {
    const { cache, clock } = create({ eagerRefreshRatio: 0.8 });
    const { asked, compute } = source();
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 79;
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(0);
    clock.nowMs += 1;
    for (let read = 0; read < 3; read++) expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(cache.peek("k")).toBe("old");
    expect(await cache.get("k")).toBe("old");
    expect(asked).toHaveLength(1);
    expect(cache.stats()).toMatchObject({ hits: 6, misses: 0, staleHits: 0, refreshes: 1 });
    asked[0]?.reject(new Error("no"));
    await settle();
    expect(await cache.getOrSet("k", compute)).toBe("old");
    expect(asked).toHaveLength(1);
    clock.nowMs += 20;
    const read = cache.getOrSet("k", compute);
    asked[1]?.resolve("new");
    expect(await read).toBe("new");
  });

  test("is not for a value that was invalidated, and what it computed before an invalidation is not stored", async () => {
    const { cache, clock } = create({ eagerRefreshRatio: 0.5 });
    const { asked, compute } = source();
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 60;
    expect(await cache.getOrSet("k", compute, { tags: ["t"] })).toBe("old");
    await cache.invalidateByTags(["t"]);
    asked[0]?.resolve("computed before");
    await settle();
    expect(await cache.getOrSet("k", () => "after", { tags: ["t"] })).toBe("after");
  });

  test("waits for a place when there is none, and a read can do without", async () => {
    const { cache, clock } = create({ eagerRefreshRatio: 0.5, maxRefreshes: 1 });
    const { asked, compute } = source();
    await cache.set("a", "old");
    await cache.set("b", "old");
    clock.nowMs += 60;
    expect(await cache.getOrSet("b", compute, { eagerRefreshRatio: 1 })).toBe("old");
    expect(asked).toHaveLength(0);
    await cache.getOrSet("a", compute);
    await cache.getOrSet("b", compute);
    expect(asked).toHaveLength(1);
    asked[0]?.resolve("new");
    await settle();
    expect(await cache.getOrSet("b", compute)).toBe("old");
    expect(asked).toHaveLength(2);
  });
});

describe("negative caching", () => {
  test("undefined and null are kept for a ttl of their own, neither refreshed early nor served stale", async () => {
    const { cache, clock } = create({
      negativeTtlMs: 10,
      staleWhileRevalidateMs: 1_000,
      eagerRefreshRatio: 0.1,
    });
    for (const nothing of [undefined, null]) {
      let computes = 0;
      const read = (): Promise<unknown> =>
        cache.getOrSet<unknown>("k", () => {
          computes++;
          return nothing;
        });
      expect([await read(), await read(), computes]).toEqual([nothing, nothing, 1]);
      clock.nowMs += 9;
      expect([await read(), computes]).toEqual([nothing, 1]);
      clock.nowMs += 1;
      expect([await read(), computes]).toEqual([nothing, 2]);
      await cache.delete("k");
    }
    await cache.getOrSet("k", () => "some");
    expect(cache.stats()).toMatchObject({ hits: 4, misses: 5, staleHits: 0, entries: 1 });
  });

  test("errors are kept that the predicate takes for answers, and thrown again to whoever reads", async () => {
    class NotFound extends Error {}
    const { cache, clock } = create({
      negativeTtlMs: 10,
      negativeErrors: (error) => error instanceof NotFound,
      staleIfErrorMs: 1_000,
    });
    const stored: boolean[] = [];
    cache.on("load", (event) => stored.push(event.stored));
    let computes = 0;
    const read = (error: Error): Promise<unknown> =>
      cache.getOrSet(
        "k",
        () => {
          computes++;
          throw error;
        },
        { tags: ["t"] },
      );
    await cache.set("k", "old", { tags: ["t"] });
    clock.nowMs += 100;
    const gone = new NotFound("gone");
    await expect(read(gone)).rejects.toBe(gone);
    await expect(read(new NotFound("again"))).rejects.toBe(gone);
    expect(computes).toBe(1);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 2, staleHits: 0, entries: 1, tags: 1 });
    await cache.invalidateByTags(["t"]);
    await expect(read(new NotFound("after"))).rejects.toThrow("after");
    clock.nowMs += 10;
    await expect(read(new Error("down"))).rejects.toThrow("down");
    await expect(read(new Error("still down"))).rejects.toThrow("still down");
    expect(computes).toBe(4);
    expect(stored).toEqual([true, true, false, false]);
    await cache.clear();
    expect(cache.stats()).toMatchObject({ entries: 0, tags: 0, memoryBytes: 0 });
  });

  test("a predicate that throws, or one without a ttl, keeps nothing; an error whose fence moved is not kept", async () => {
    const { cache } = create({ negativeTtlMs: 10, negativeErrors: fail });
    await expect(cache.getOrSet("k", fail)).rejects.toThrow("down");
    const yes = { negativeErrors: () => true };
    await expect(cache.getOrSet("k", fail, { ...yes, negativeTtlMs: 0 })).rejects.toThrow("down");
    expect(cache.stats().entries).toBe(0);
    const { asked, compute } = source();
    const read = cache.getOrSet("k", compute, { ...yes, tags: ["t"] });
    await cache.invalidateByTags(["t"]);
    asked[0]?.reject(new Error("before"));
    await expect(read).rejects.toThrow("before");
    expect(await cache.getOrSet("k", () => "after")).toBe("after");
  });
});
