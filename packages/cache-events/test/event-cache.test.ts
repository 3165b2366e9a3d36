import { describe, expect, expectTypeOf, test } from "vitest";
import { CacheClosedError, EventCache } from "../src/index.ts";
import { deferred, manualClock, settle } from "./support.ts";

function boom(): never {
  throw new Error("at once");
}

describe("reading and storing", () => {
  test("the first read computes, the next ones hit, each of the three ways", async () => {
    const cache = new EventCache();
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
    expect(await cache.getOrSet("k", () => ({ n: 1 }))).toEqual({ n: 1 });
    const value = await cache.getOrSet("k", () => ({ n: 2 }));
    expectTypeOf(value).toEqualTypeOf<{ n: number }>();
    expect(value).toEqual({ n: 1 });
    expect(cache.peek("k")).toBe(value);
    expect(await cache.get("k")).toBe(value);
  });

  test("null, false, 0 and the empty string are values; undefined is not stored", async () => {
    const cache = new EventCache();
    for (const value of [null, false, 0, ""]) {
      await cache.set("k", value);
      expect(cache.peek("k")).toBe(value);
    }
    await cache.delete("k");
    await cache.getOrSet("k", () => undefined);
    expect(cache.stats().entries).toBe(0);
  });

  test("namespaces keep equal keys apart", async () => {
    const cache = new EventCache();
    await cache.set("k", "root");
    await cache.set("k", "tenant", { namespace: "tenant" });
    await cache.set("__proto__", "odd", { namespace: "__proto__" });
    expect(cache.peek("k", { namespace: "" })).toBe("root");
    expect(cache.peek("k", { namespace: "tenant" })).toBe("tenant");
    expect(cache.peek("__proto__", { namespace: "__proto__" })).toBe("odd");
    expect(cache.peek("k", { namespace: "other" })).toBeUndefined();
    await cache.delete("k", { namespace: "tenant" });
    expect(await cache.get("k", { namespace: "tenant" })).toBeUndefined();
    expect(cache.peek("k")).toBe("root");
  });

  test("an entry expires after its ttl, shortened by the jitter", async () => {
    const clock = manualClock();
    const cache = new EventCache({ ttlMs: 100, ttlJitter: 0.5, now: clock.now, random: () => 0.5 });
    await cache.set("default", 1);
    await cache.set("own", 2, { ttlMs: 1_000 });
    await cache.set("ever", 3, { ttlMs: Infinity });
    clock.nowMs += 74;
    expect(cache.peek("default")).toBe(1);
    clock.nowMs += 1;
    expect(cache.peek("default")).toBeUndefined();
    expect(cache.peek("own")).toBe(2);
    clock.nowMs += 1_000;
    expect(await cache.getOrSet("own", () => 4)).toBe(4);
    expect(cache.peek("ever")).toBe(3);
  });

  test("without an injected clock entries live for their ttl", async () => {
    const cache = new EventCache({ ttlJitter: 0 });
    await cache.set("k", 1, { ttlMs: 60_000 });
    expect(cache.peek("k")).toBe(1);
    await settle();
    expect(cache.peek("k")).toBe(1);
  });

  test("set takes the place of a compute under way, for later readers and in the cache", async () => {
    const cache = new EventCache();
    const slow = deferred<string>();
    const old = cache.getOrSet("k", () => slow.promise);
    await cache.set("k", "set");
    expect(await cache.getOrSet("k", () => "new")).toBe("set");
    slow.resolve("old");
    expect(await old).toBe("old");
    expect(cache.peek("k")).toBe("set");
  });

  test("a compute that throws, at once or later, fails its readers and is not remembered", async () => {
    const cache = new EventCache();
    await expect(cache.getOrSet("k", boom)).rejects.toThrow("at once");
    await expect(cache.getOrSet("k", () => Promise.reject(new Error("later")))).rejects.toThrow(
      "later",
    );
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    expect(cache.stats()).toMatchObject({ loads: 3, loadErrors: 2, tags: 0 });
  });

  test("a value larger than maxBytes, or that cannot be measured, is returned but not kept", async () => {
    const cache = new EventCache({ maxBytes: 1_000 });
    await cache.set("k", "small");
    const big = "x".repeat(1_000);
    await cache.set("k", big);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.getOrSet("k", () => big, { tags: ["t"] })).toBe(big);
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0, tags: 0 });
    const unmeasured = new EventCache({
      sizeOf: () => {
        throw new Error("no");
      },
    });
    expect(await unmeasured.getOrSet("k", () => 1)).toBe(1);
    expect(unmeasured.stats().entries).toBe(0);
  });

  test("sizeOf replaces the estimate", async () => {
    const cache = new EventCache({ sizeOf: () => 5_000, maxBytes: 11_000 });
    await cache.set("a", 1);
    await cache.set("b", 1);
    await cache.set("c", 1);
    expect(cache.stats()).toMatchObject({ entries: 2, evictions: 1, memoryBytes: 2 * 5_202 });
  });
});

describe("bypass", () => {
  test("while bypassed every read computes for itself and nothing is stored", async () => {
    const cache = new EventCache();
    await cache.set("k", "before");
    cache.bypass(true);
    expect(cache.bypassed).toBe(true);
    expect(cache.peek("k")).toBeUndefined();
    expect(await cache.get("k")).toBeUndefined();
    let computes = 0;
    const read = (): Promise<number> => cache.getOrSet("k", () => Promise.resolve(++computes));
    expect(await Promise.all([read(), read()])).toEqual([1, 2]);
    cache.bypass(false);
    expect(cache.peek("k")).toBe("before");
  });

  test("a compute that began before is answered but not stored", async () => {
    const cache = new EventCache();
    const slow = deferred<number>();
    const read = cache.getOrSet("k", () => slow.promise);
    cache.bypass(true);
    slow.resolve(1);
    expect(await read).toBe(1);
    expect(cache.stats().entries).toBe(0);
  });

  test("what was invalidated or set while bypassed does not come back", async () => {
    const cache = new EventCache();
    await cache.set("tagged", 1, { tags: ["t"] });
    await cache.set("deleted", 1);
    await cache.set("replaced", 1);
    await cache.set("kept", 1);
    cache.bypass(true);
    await cache.invalidateByTags(["t"]);
    await cache.delete("deleted");
    await cache.set("replaced", 2);
    cache.bypass(false);
    expect(cache.peek("tagged")).toBeUndefined();
    expect(cache.peek("deleted")).toBeUndefined();
    expect(cache.peek("replaced")).toBeUndefined();
    expect(cache.peek("kept")).toBe(1);
  });
});

describe("an epoch from outside", () => {
  test("a change that a read notices invalidates what was computed before, and what was being computed", async () => {
    let epoch = 1;
    const cache = new EventCache({ epoch: () => epoch });
    const slow = deferred<string>();
    await cache.set("k", "old");
    const under = cache.getOrSet("slow", () => slow.promise);
    expect(cache.peek("k")).toBe("old");
    epoch++;
    expect(cache.peek("k")).toBeUndefined();
    const newer = cache.getOrSet("slow", () => "new");
    slow.resolve("old");
    expect(await Promise.all([under, newer])).toEqual(["old", "new"]);
    expect(cache.peek("slow")).toBe("new");
  });

  test("one that cannot be told keeps nothing, and says so", async () => {
    let broken = false;
    const cache = new EventCache({
      epoch: () => {
        if (broken) throw new Error("database is gone");
        return "e";
      },
    });
    const errors: unknown[] = [];
    cache.on("storeError", (event) => errors.push(event));
    await cache.set("k", 1);
    broken = true;
    expect(await cache.getOrSet("k", () => 2)).toBe(2);
    expect(await cache.get("k")).toBeUndefined();
    broken = false;
    expect(await cache.getOrSet("k", () => 3)).toBe(3);
    expect(await cache.getOrSet("k", () => 4)).toBe(3);
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatchObject({ operation: "epoch", error: { code: "CACHE_STORE" } });
  });
});

describe("closing", () => {
  test("ends the computes under way, drops everything and refuses calls", async () => {
    const cache = new EventCache({ name: "tools" });
    let aborted = false;
    await cache.set("k", 1, { tags: ["t"] });
    const read = cache.getOrSet("slow", ({ signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Promise(() => {});
    });
    const closing = cache.close();
    await expect(read).rejects.toThrow(CacheClosedError);
    await closing;
    await cache.close();
    expect(aborted).toBe(true);
    expect(cache.peek("k")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0, tags: 0, flights: 0 });
    const calls = [
      () => cache.getOrSet("k", () => 1),
      () => cache.get("k"),
      () => cache.set("k", 1),
      () => cache.delete("k"),
      () => cache.invalidateByTags([]),
      () => cache.clear(),
      () => cache.write([], () => {}),
      () => cache.bus.emit({ type: "agentCreated", agentId: "a" }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "CACHE_CLOSED" });
  });

  test("await using closes it", async () => {
    let outer: EventCache;
    {
      await using cache = new EventCache();
      outer = cache;
    }
    await expect(outer.get("k")).rejects.toThrow(CacheClosedError);
  });
});
