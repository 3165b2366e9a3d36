import * as fc from "fast-check";
import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { ManualTimers, deferred, settle } from "./support.ts";

const odd: readonly string[] = [
  " ",
  "\0",
  "__proto__",
  "constructor",
  "\u00E9",
  "e\u0301",
  "😀",
  "\uD800",
  "\uDC00",
  "a\nb",
  "x".repeat(2 ** 20),
  `${"x".repeat(2 ** 20)}y`,
];

describe("keys, tags and namespaces of any length and alphabet", () => {
  test("are kept apart by their exact code units, also lone surrogates and normal forms", async () => {
    const cache = new EventCache();
    for (const [index, key] of odd.entries()) await cache.set(key, index, { tags: [key] });
    for (const [index, key] of odd.entries()) expect(cache.peek(key)).toBe(index);
    for (const [index, namespace] of odd.entries())
      await cache.getOrSet("k", () => index, { namespace, tags: [...odd] });
    for (const [index, namespace] of odd.entries())
      expect(await cache.get("k", { namespace })).toBe(index);
    await cache.invalidateByTags(["\uD800"]);
    expect([cache.peek("\uD800"), cache.peek("\uDC00")]).toEqual([undefined, 8]);
    const { byNamespace, byTag } = cache.stats();
    expect(Object.keys(byNamespace).toSorted()).toEqual(["", ...odd].toSorted());
    expect(Object.hasOwn(byTag, "__proto__")).toBe(true);
    await cache.clear();
    expect(cache.stats()).toMatchObject({ entries: 0, tags: 0, memoryBytes: 0 });
  });

  test("any two different strings are two keys, two tags and two namespaces", async () => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
    const text = fc.string({ unit, minLength: 1 });
    await fc.assert(
      fc.asyncProperty(text, text, async (one, two) => {
        fc.pre(one !== two);
        const cache = new EventCache();
        await cache.set(one, 1, { tags: [one], namespace: one });
        await cache.set(one, 2, { tags: [two], namespace: two });
        await cache.set(two, 3, { tags: [two], namespace: one });
        await cache.invalidateByTags([one]);
        expect(cache.peek(one, { namespace: one })).toBeUndefined();
        expect(cache.peek(one, { namespace: two })).toBe(2);
        expect(cache.peek(two, { namespace: one })).toBe(3);
      }),
      { numRuns: 300 },
    );
  });

  test("a key counts with its length towards the memory, and one larger than that is not kept", async () => {
    const cache = new EventCache({ maxBytes: 2 ** 20 });
    expect(await cache.getOrSet("x".repeat(2 ** 20), () => 1)).toBe(1);
    expect(cache.stats().entries).toBe(0);
  });
});

describe("computes that misbehave", () => {
  test.each([undefined, null, 0, "text", { status: 404 }])(
    "what is thrown reaches every reader as it is: %o",
    async (thrown) => {
      const cache = new EventCache();
      const slow = deferred<never>();
      const reads = [0, 1].map(() => cache.getOrSet("k", () => slow.promise, { tags: ["t"] }));
      const outcomes = Promise.allSettled(reads);
      slow.reject(thrown);
      for (const outcome of await outcomes)
        expect(outcome).toEqual({ status: "rejected", reason: thrown });
      expect(cache.stats()).toMatchObject({ flights: 0, tags: 0, loadErrors: 1 });
    },
  );

  test("a thenable is awaited, and one that throws or calls back twice does no harm", async () => {
    const cache = new EventCache();
    // oxlint-disable unicorn/no-thenable
    const twice = {
      then(resolve: (value: number) => void, reject: (reason: unknown) => void) {
        resolve(1);
        resolve(2);
        reject(new Error("late"));
      },
    };
    const broken = {
      get then(): never {
        throw new Error("broken");
      },
    };
    expect(await cache.getOrSet("k", () => twice as unknown as Promise<number>)).toBe(1);
    await expect(cache.getOrSet("b", () => broken as never)).rejects.toThrow("broken");
    expect(cache.stats()).toMatchObject({ entries: 1, flights: 0 });
  });

  test("one that never settles and never heeds its signal costs its readers the time limit, and the cache nothing after it", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers });
    const late: ((value: string) => void)[] = [];
    for (let round = 0; round < 3; round++) {
      const read = cache.getOrSet("k", () => new Promise<string>((resolve) => late.push(resolve)), {
        tags: ["t"],
      });
      await settle();
      timers.fire();
      await expect(read).rejects.toMatchObject({ code: "CACHE_LOAD_TIMEOUT" });
      expect(cache.stats()).toMatchObject({ flights: 0, tags: 0 });
    }
    for (const resolve of late) resolve("late");
    await settle();
    expect(cache.peek("k")).toBeUndefined();
    expect(timers.delaysMs).toEqual([]);
  });

  test("one that settles after close, or only begins then, changes nothing", async () => {
    const cache = new EventCache({ staleWhileRevalidateMs: 1_000 });
    const slow = deferred<number>();
    let began = 0;
    const read = cache.getOrSet("k", () => slow.promise, { tags: ["t"] });
    await cache.close();
    slow.resolve(1);
    await expect(read).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    await expect(cache.getOrSet("k", () => began++)).rejects.toMatchObject({
      code: "CACHE_CLOSED",
    });
    await expect(cache.getOrSetMany(["k"], () => [began++])).rejects.toMatchObject({
      code: "CACHE_CLOSED",
    });
    await expect(cache.getMany(["k"])).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    await expect(cache.setMany([["k", 1]])).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    await settle();
    expect(began).toBe(0);
    expect(cache.stats()).toMatchObject({ entries: 0, tags: 0, flights: 0, refreshes: 0 });
  });

  test("one that closes the cache, invalidates its own tags or deletes its own key is answered and not stored", async () => {
    const cache = new EventCache();
    const self = [
      () => cache.invalidateByTags(["t"]),
      () => cache.delete("k"),
      () => cache.clear(),
      () => cache.clear({ prefix: "k" }),
    ];
    for (const end of self) {
      const compute = async (): Promise<string> => {
        await end();
        return "value";
      };
      expect(await cache.getOrSet("k", compute, { tags: ["t"] })).toBe("value");
      expect(cache.stats()).toMatchObject({ entries: 0, tags: 0, flights: 0 });
    }
    const closing = cache.getOrSet("k", async () => {
      await cache.close();
      return "value";
    });
    await expect(closing).rejects.toMatchObject({ code: "CACHE_CLOSED" });
  });

  test("bad tags out of the compute fail it, and nothing is stored", async () => {
    const cache = new EventCache();
    const read = cache.getOrSet("k", ({ tag }) => {
      tag("good", 7 as never);
      return 1;
    });
    await expect(read).rejects.toMatchObject({ code: "CACHE_OPTION", option: "tags" });
    expect(cache.stats()).toMatchObject({ entries: 0, tags: 0 });
  });
});

describe("values that a memory tier cannot size", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const graph = Array.from({ length: 100_001 }, () => ({}));
  const getter = {
    get size(): never {
      throw new Error("no");
    },
  };

  test.each([
    ["a revoked proxy", { proxy }, 0],
    ["a getter that throws", getter, 0],
    ["more objects than are counted", graph, 0],
    ["a cycle", cyclic, 1],
    ["a function", { run() {} }, 1],
    ["a symbol", { symbol: Symbol("s") }, 1],
    ["buffers and views", [new ArrayBuffer(8), new Uint8Array(8), 8n], 1],
  ])("%s: answered; kept only when it can be sized", async (_what, value, kept) => {
    const cache = new EventCache();
    expect(await cache.getOrSet<unknown>("k", () => value)).toBe(value);
    expect(cache.stats().entries).toBe(kept);
  });

  test.each([Number.NaN, Infinity, -1, "12", undefined])(
    "a sizeOf that returns %o can neither break the bound nor make bytes negative",
    async (size) => {
      const cache = new EventCache({ maxBytes: 1_000, sizeOf: () => size as number });
      for (let index = 0; index < 20; index++) await cache.set(`k${index}`, index);
      const { memoryBytes } = cache.stats();
      expect(memoryBytes).toBeGreaterThanOrEqual(0);
      expect(memoryBytes).toBeLessThanOrEqual(1_000);
      await cache.clear();
      expect(cache.stats().memoryBytes).toBe(0);
    },
  );
});

describe("calls that misbehave", () => {
  test.each<[string, (cache: EventCache) => Promise<unknown>]>([
    ["deletes the key", (cache) => cache.delete("k")],
    ["clears a prefix", (cache) => cache.clear({ prefix: "k" })],
    ["clears the tags of a namespace", (cache) => cache.clear({ namespace: "", tags: ["t"] })],
    ["sets the key", (cache) => cache.set("k", "set")],
  ])("a value that %s while it is being measured is not kept after that", async (_what, act) => {
    const cache = new EventCache();
    let acted: Promise<unknown> | undefined;
    const acting = {
      get size(): number {
        acted ??= act(cache);
        return 1;
      },
    };
    await cache.getOrSet("k", () => acting, { tags: ["t"] });
    await acted;
    expect(await cache.getOrSet("k", () => "new", { tags: ["t"] })).not.toBe(acting);
    await cache.clear();
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0 });
  });

  test("a compute with very many tags takes each of them once", async () => {
    const cache = new EventCache();
    const tags = Array.from({ length: 50_000 }, (_, index) => `t${index % 25_000}`);
    await cache.getOrSet("k", () => 1, { tags });
    expect(cache.stats().tags).toBe(25_000);
    await cache.invalidateByTags(["t24999"]);
    expect(cache.peek("k")).toBeUndefined();
  });

  test("a listener that rejects becomes a warning, as one that throws", async () => {
    const cache = new EventCache();
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    cache.on("hit", async () => {
      throw new Error("async");
    });
    await cache.set("k", 1);
    expect(await cache.get("k")).toBe(1);
    expect(await warned).toMatchObject({ code: "CACHE_LISTENER" });
  });

  test("a listener of no event, or that is no function, is refused", () => {
    const cache = new EventCache();
    const on = cache.on.bind(cache) as (name: string, listener: unknown) => unknown;
    const refused = expect.objectContaining({ code: "CACHE_OPTION" });
    expect(() => on("nope", () => {})).toThrow(refused);
    expect(() => on("hit", 5)).toThrow(refused);
  });

  test("a write keeps to the tags it was given, whatever becomes of the array", async () => {
    const cache = new EventCache();
    const tags = ["list"];
    await cache.write(tags, async () => {
      await cache.getOrSet("l", () => "mid", { tags: ["list"] });
      tags.length = 0;
    });
    expect(cache.peek("l")).toBeUndefined();
  });

  test("options that are an array, and a mirror without a store, are refused", () => {
    const refused = expect.objectContaining({ code: "CACHE_OPTION" });
    expect(() => new EventCache([] as object)).toThrow(refused);
    expect(() => new EventCache({ consistency: "mirrored" })).toThrow(refused);
  });

  test("with a store, a key that it cannot hold is refused before any other is stored or computed", async () => {
    const cache = new EventCache({ store: new Keyv({ store: new Map() }) });
    const refused = { code: "CACHE_OPTION" };
    const entries = [
      ["good", 1],
      ["\uD800", 2],
    ] as const;
    await expect(cache.setMany(entries)).rejects.toMatchObject(refused);
    expect(await cache.get("good")).toBeUndefined();
    let computed = 0;
    const computeMany = (keys: readonly string[]): number[] => keys.map(() => ++computed);
    await expect(cache.getOrSetMany(["x", "\uD800"], computeMany)).rejects.toMatchObject(refused);
    await settle();
    expect(computed).toBe(0);
  });
});
