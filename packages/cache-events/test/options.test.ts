import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { CacheError, CacheEventBus, EventCache } from "../src/index.ts";

describe("options", () => {
  test.each([
    ["name", ""],
    ["name", "a b"],
    ["maxEntries", 0],
    ["maxEntries", 1.5],
    ["maxBytes", "64"],
    ["ttlMs", 0],
    ["ttlMs", Number.NaN],
    ["ttlJitter", 1.1],
    ["loadTimeoutMs", 2 ** 31],
    ["softTimeoutMs", 0],
    ["staleWhileRevalidateMs", -1],
    ["staleIfErrorMs", "1"],
    ["eagerRefreshRatio", 0],
    ["eagerRefreshRatio", 1.1],
    ["maxRefreshes", 0],
    ["negativeTtlMs", Number.NaN],
    ["negativeErrors", Error.prototype],
    ["detectCycles", 1],
    ["bus", {}],
    ["subscriberTimeoutMs", -1],
    ["rules", []],
    ["operations", null],
    ["store", new Map()],
    ["store", { read() {}, write() {} }],
    ["storeTimeoutMs", 0],
    ["consistency", "eventual"],
    ["epoch", 7],
    ["verifyRatio", -0.1],
    ["sizeOf", {}],
    ["now", 1],
    ["random", 1],
    ["timers", { set() {} }],
    ["ttl", 1],
  ])("%s: %o is refused, and the message says what was expected and what came", (name, value) => {
    const create = (): unknown => new EventCache({ [name]: value });
    expect(create).toThrow(CacheError);
    expect(create).toThrow(
      expect.objectContaining({ name: "CacheOptionError", code: "CACHE_OPTION", option: name }),
    );
    expect(create).toThrow(/expected .+, received .+/);
  });

  test.each([
    ["rules.agentCreated", { rules: { agentCreated: "agents" } }],
    ["operations.assign", { operations: { assign: ["", "tasks"] } }],
  ])("%s is refused by its full name", (option, options) => {
    expect(() => new EventCache(options as never)).toThrow(expect.objectContaining({ option }));
  });

  test("options that are no object, or an epoch together with a store, are refused", () => {
    expect(() => new EventCache(7 as never)).toThrow(
      expect.objectContaining({ option: "options" }),
    );
    expect(() => new EventCache({ store: new Keyv(), epoch: () => 1 })).toThrow(
      expect.objectContaining({ option: "epoch" }),
    );
  });

  test("mirrored reads of a store without a mirror are refused", () => {
    expect(() => new EventCache({ store: new Keyv(), consistency: "mirrored" })).toThrow(
      expect.objectContaining({ option: "consistency" }),
    );
  });

  test("with a store a key or namespace with a lone surrogate is refused: encoded, all of them would be one", async () => {
    const cache = new EventCache({ store: new Keyv() });
    for (const lone of ["\uD800", "a\uDC00"]) {
      const calls = [
        () => cache.getOrSet(lone, () => 1),
        () => cache.get("k", { namespace: lone }),
        () => cache.set(lone, 1),
        () => cache.delete(lone),
        () => cache.getOrSetMany([lone], () => [1]),
      ];
      for (const call of calls)
        await expect(call()).rejects.toMatchObject({ code: "CACHE_OPTION" });
    }
    expect(await cache.getOrSet("😀", () => 1)).toBe(1);
  });

  test("a bus brings its own time limit", () => {
    const options = { bus: new CacheEventBus(), subscriberTimeoutMs: 1 };
    expect(() => new EventCache(options)).toThrow(
      expect.objectContaining({ option: "subscriberTimeoutMs" }),
    );
  });

  test("undefined stands for the default", async () => {
    const cache = new EventCache({ ttlMs: undefined, name: undefined } as never);
    await cache.set("k", 1);
    expect(cache.peek("k")).toBe(1);
  });
});
