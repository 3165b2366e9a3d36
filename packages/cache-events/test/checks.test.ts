import { describe, expect, test } from "vitest";
import { CacheOptionError, EventCache } from "../src/index.ts";

describe("wrong arguments", () => {
  const cache = new EventCache();
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ["key", () => cache.getOrSet("", () => 1)],
    ["key", () => cache.get(7 as never)],
    ["key", () => cache.delete(undefined as never)],
    ["namespace", () => cache.set("k", 1, { namespace: 7 as never })],
    ["namespace", () => cache.clear({ namespace: 7 as never })],
    ["compute", () => cache.getOrSet("k", 1 as never)],
    ["tags", () => cache.getOrSet("k", () => 1, { tags: "t" as never })],
    ["tags", () => cache.invalidateByTags("t" as never)],
    ["tags", () => cache.invalidateByTags([""])],
    ["tags", () => cache.clear({ tags: [7] as never })],
    ["prefix", () => cache.clear({ prefix: "" })],
    ["selection", () => cache.clear({})],
    ["keys", () => cache.clear({ keys: [] } as never)],
    ["ttlMs", () => cache.set("k", 1, { ttlMs: 0 })],
    ["ttlMs", () => cache.set("k", 1, { ttlMs: Number.NaN })],
    ["signal", () => cache.getOrSet("k", () => 1, { signal: {} as never })],
    ["ttl", () => cache.getOrSet("k", () => 1, { ttl: 7 } as never)],
    ["signal", () => cache.set("k", 1, { signal: AbortSignal.abort() } as never)],
    ["softTimeoutMs", () => cache.getOrSet("k", () => 1, { softTimeoutMs: 0 })],
    ["loadTimeoutMs", () => cache.getOrSet("k", () => 1, { loadTimeoutMs: Infinity })],
    ["staleIfErrorMs", () => cache.getOrSet("k", () => 1, { staleIfErrorMs: -1 })],
    ["eagerRefreshRatio", () => cache.getOrSet("k", () => 1, { eagerRefreshRatio: 2 })],
    ["negativeTtlMs", () => cache.getOrSet("k", () => 1, { negativeTtlMs: -1 })],
    ["negativeErrors", () => cache.getOrSet("k", () => 1, { negativeErrors: 1 as never })],
    ["keys", () => cache.getOrSetMany("k" as never, () => [])],
    ["keys", () => cache.getOrSetMany(["a", ""], () => [])],
    ["keys", () => cache.getMany(Array.from({ length: 10_001 }, () => "k"))],
    ["keys", () => cache.setMany([["", 1]])],
    ["value", () => cache.setMany([["a", undefined]])],
    ["computeMany", () => cache.getOrSetMany(["a"], 1 as never)],
    ["computeMany", () => cache.getOrSetMany(["a"], () => [])],
    ["computeMany", () => cache.getOrSetMany(["a"], () => ({ a: 1 }) as never)],
    ["tags", () => cache.getOrSetMany(["a"], () => [1], { tags: () => [""] })],
    ["event", () => cache.clear({ event: 7 as never })],
    ["event", () => cache.clear({ event: { type: "agentCreated", agentId: "a" } })],
    [
      "event",
      () => cache.clear({ event: { type: "agentCreated", agentId: "a" }, tags: ["t"] } as never),
    ],
    ["value", () => cache.set("k", undefined)],
    ["value", () => cache.set("k", Promise.resolve(1))],
    ["fn", () => cache.write([], "fn" as never)],
    ["event", () => cache.bus.emit("agentCreated" as never)],
  ];

  test.each(wrong)("%s is refused with a typed error, case %#", async (option, call) => {
    await expect(call()).rejects.toMatchObject({ code: "CACHE_OPTION", option });
    expect(cache.stats().entries).toBe(0);
  });

  test("bypass and the bus's on throw at once", () => {
    expect(() => cache.bypass("yes" as never)).toThrow(CacheOptionError);
    expect(() => cache.bus.on("agentCreated", "fn" as never)).toThrow(CacheOptionError);
  });

  test("a getOrSet refused for its tags is refused in bypass too", async () => {
    const bypassed = new EventCache();
    bypassed.bypass(true);
    await expect(bypassed.getOrSet("k", () => 1, { tags: [""] })).rejects.toThrow(CacheOptionError);
  });
});
