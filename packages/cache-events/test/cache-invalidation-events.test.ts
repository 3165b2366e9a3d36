import { describe, expect, test } from "vitest";
import type { SubscriberErrorEvent } from "../src/index.ts";
import { EventCache, RuleError } from "../src/index.ts";
import { ManualTimers, deferred, settle } from "./support.ts";

describe("cache invalidation events", () => {
  test("an event invalidates the tags of its rule, all four built-in types", async () => {
    const cache = new EventCache({
      rules: {
        toolStateChanged: ({ toolName }) => [`tool:${toolName}`],
        agentCreated: ({ agentId }) => ["agents", `agent:${agentId}`],
        taskCompleted: ({ taskId }) => [`task:${taskId}`],
        swarmScaled: ({ swarmId }) => [`swarm:${swarmId}`],
      },
    });
    for (const tag of ["tool:t", "agents", "task:1", "swarm:s", "agent:other"])
      await cache.set(tag, 1, { tags: [tag] });
    await cache.bus.emit({ type: "toolStateChanged", toolName: "t" });
    await cache.bus.emit({ type: "agentCreated", agentId: "a" });
    await cache.bus.emit({ type: "taskCompleted", taskId: "1" });
    await cache.bus.emit({ type: "swarmScaled", swarmId: "s" });
    for (const tag of ["tool:t", "agents", "task:1", "swarm:s"])
      expect(cache.peek(tag)).toBeUndefined();
    expect(cache.peek("agent:other")).toBe(1);
  });

  test("types of one's own are checked by the compiler, and one without a rule reaches only its subscribers", async () => {
    type Own =
      | { readonly type: "priceChanged"; readonly sku: string }
      | { readonly type: "shopClosed" };
    const cache = new EventCache<Own>({ rules: { priceChanged: ({ sku }) => [`sku:${sku}`] } });
    const seen: string[] = [];
    cache.bus.on("shopClosed", ({ type }) => seen.push(type));
    cache.bus.on("priceChanged", ({ sku }) => seen.push(sku));
    await cache.set("k", 1, { tags: ["sku:1"] });
    await cache.bus.emit({ type: "shopClosed" });
    expect(cache.peek("k")).toBe(1);
    await cache.bus.emit({ type: "priceChanged", sku: "1" });
    expect(cache.peek("k")).toBeUndefined();
    expect(seen).toEqual(["shopClosed", "1"]);
    // @ts-expect-error an event that is not declared
    await cache.bus.emit({ type: "unknown" });
  });

  test("tags are fenced as emit is called, and before any subscriber runs", async () => {
    const cache = new EventCache({ rules: { taskCompleted: () => ["tasks"] } });
    await cache.set("k", 1, { tags: ["tasks"] });
    let seen: unknown = "not run";
    cache.bus.on("taskCompleted", () => {
      seen = cache.peek("k");
    });
    const emitted = cache.bus.emit({ type: "taskCompleted", taskId: "1" });
    expect(cache.peek("k")).toBeUndefined();
    await emitted;
    expect(seen).toBeUndefined();
  });

  test("emit waits for asynchronous subscribers, and one that was taken off is not called", async () => {
    const cache = new EventCache();
    const slow = deferred<void>();
    const calls: string[] = [];
    const off = (): number => calls.push("off");
    cache.bus.on("swarmScaled", async () => {
      await slow.promise;
      calls.push("slow");
    });
    cache.bus.on("swarmScaled", off).off("swarmScaled", off);
    let done = false;
    const emitted = cache.bus.emit({ type: "swarmScaled", swarmId: "s" }).then(() => (done = true));
    await settle();
    expect(done).toBe(false);
    slow.resolve();
    await emitted;
    expect(calls).toEqual(["slow"]);
  });

  test("subscribers that fail or never settle are reported and disturb neither emit nor each other", async () => {
    const timers = new ManualTimers();
    const cache = new EventCache({ timers, subscriberTimeoutMs: 40 });
    const errors: SubscriberErrorEvent[] = [];
    cache.on("subscriberError", (event) => errors.push(event));
    let reached = false;
    cache.bus.on("agentCreated", () => {
      throw new Error("at once");
    });
    cache.bus.on("agentCreated", () => Promise.reject(new Error("later")));
    cache.bus.on("agentCreated", () => new Promise(() => {}));
    cache.bus.on("agentCreated", () => {
      reached = true;
    });
    const emitted = cache.bus.emit({ type: "agentCreated", agentId: "a" });
    await settle();
    timers.fire(40);
    await emitted;
    expect(reached).toBe(true);
    expect(errors.map(({ error }) => (error as Error).message)).toEqual([
      "at once",
      "later",
      expect.stringContaining("subscriberTimeoutMs = 40"),
    ]);
    expect(errors[2]).toMatchObject({ error: { code: "CACHE_SUBSCRIBER_TIMEOUT" } });
    expect(timers.delaysMs).toEqual([]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["returns no array", () => "tags" as never],
    ["returns an empty tag", () => [""]],
  ])("a rule that %s invalidates everything, and emit says so", async (_what, rule) => {
    const cache = new EventCache({ rules: { agentCreated: rule } });
    await cache.set("k", 1);
    const emitted = cache.bus.emit({ type: "agentCreated", agentId: "a" });
    await expect(emitted).rejects.toThrow(RuleError);
    await expect(emitted).rejects.toMatchObject({ code: "CACHE_RULE", eventType: "agentCreated" });
    expect(cache.peek("k")).toBeUndefined();
  });

  test("clear by event invalidates what the rule says, within a prefix or namespace if one is given, and reaches no subscriber", async () => {
    const cache = new EventCache({
      rules: { agentCreated: ({ agentId }) => [`agent:${agentId}`] },
    });
    const event = { type: "agentCreated", agentId: "1" } as const;
    let heard = 0;
    cache.bus.on("agentCreated", () => heard++);
    const fill = async (): Promise<void> => {
      for (const key of ["x:1", "y:1"])
        for (const namespace of ["", "n"])
          await cache.set(key, 1, { namespace, tags: ["agent:1"] });
      await cache.set("other", 1, { tags: ["agent:2"] });
    };
    const left = (): number[] =>
      ["", "n"].flatMap((namespace) =>
        ["x:1", "y:1", "other"].map((key) => cache.peek<number>(key, { namespace }) ?? 0),
      );
    await fill();
    await cache.clear({ event });
    expect(left()).toEqual([0, 0, 1, 0, 0, 0]);
    await fill();
    await cache.clear({ event, prefix: "x:" });
    expect(left()).toEqual([0, 1, 1, 0, 1, 0]);
    await fill();
    await cache.clear({ event, namespace: "n" });
    expect(left()).toEqual([1, 1, 1, 0, 0, 0]);
    await cache.clear({ event, namespace: "", prefix: "y" });
    expect(left()).toEqual([1, 0, 1, 0, 0, 0]);
    expect(heard).toBe(0);
  });

  test("clear by an event without a rule is refused, by one whose rule is broken it is everything, by one without tags nothing", async () => {
    const cache = new EventCache({
      rules: { taskCompleted: () => [], swarmScaled: () => "tags" as never },
    });
    await cache.set("k", 1);
    const without = cache.clear({ event: { type: "agentCreated", agentId: "a" } });
    await expect(without).rejects.toMatchObject({ code: "CACHE_OPTION", option: "event" });
    await cache.clear({ event: { type: "taskCompleted", taskId: "1" } });
    expect(cache.peek("k")).toBe(1);
    // @ts-expect-error an event that is not declared
    await expect(cache.clear({ event: { type: "unknown" } })).rejects.toThrow("has a rule");
    const broken = cache.clear({ event: { type: "swarmScaled", swarmId: "1" } });
    await expect(broken).rejects.toMatchObject({ code: "CACHE_RULE" });
    expect(cache.peek("k")).toBeUndefined();
  });

  test("an event named like a property of every object has no rule", async () => {
    const cache = new EventCache<{ type: string }>({ rules: {} });
    await cache.set("k", 1);
    await cache.bus.emit({ type: "constructor" });
    expect(cache.peek("k")).toBe(1);
  });
});

describe("the cache's own events", () => {
  test("each is emitted with what it is about", async () => {
    let nowMs = 1_000;
    const cache = new EventCache({ maxEntries: 1, now: () => nowMs, random: () => 0 });
    const events: unknown[] = [];
    const names = ["hit", "miss", "load", "invalidate", "evict"] as const;
    for (const name of names) cache.on(name, (event: object) => events.push({ name, ...event }));
    await cache.getOrSet("a", () => {
      nowMs += 5;
      return 1;
    });
    cache.peek("a");
    await cache.set("b", 2, { tags: ["t"] });
    await cache.invalidateByTags(["t"]);
    await cache.get("b");
    await cache.delete("b", { namespace: "n" });
    await cache.clear({ namespace: "n" });
    await cache.clear({ prefix: "b" });
    await cache.clear({ tags: ["t"], namespace: "n" });
    await cache.clear();
    expect(events).toEqual([
      { name: "miss", key: "a", namespace: "", reason: "absent" },
      { name: "load", key: "a", namespace: "", durationMs: 5, outcome: "ok", stored: true },
      { name: "hit", key: "a", namespace: "" },
      { name: "evict", key: "a", namespace: "", bytes: expect.any(Number) },
      { name: "invalidate", kind: "tags", tags: ["t"] },
      { name: "miss", key: "b", namespace: "", reason: "invalidated" },
      { name: "invalidate", kind: "key", key: "b", namespace: "n" },
      { name: "invalidate", kind: "namespace", namespace: "n" },
      { name: "invalidate", kind: "prefix", prefix: "b" },
      { name: "invalidate", kind: "tags", tags: ["t"], namespace: "n" },
      { name: "invalidate", kind: "everything" },
    ]);
  });

  test("a listener may use the cache, even the key that is being stored", async () => {
    const cache = new EventCache({ maxEntries: 2 });
    let nested = 0;
    cache.on("evict", () => {
      if (nested++ < 3) void cache.set("k", "nested");
    });
    for (const key of ["a", "b", "k", "c", "k"]) await cache.set(key, key);
    await cache.clear();
    expect(cache.stats()).toMatchObject({ entries: 0, memoryBytes: 0 });
  });

  test("a listener that throws is a process warning, and a listener taken off hears nothing", async () => {
    const cache = new EventCache();
    const warned = new Promise<Error>((resolve) => {
      process.once("warning", resolve);
    });
    let heard = 0;
    const off = (): number => heard++;
    cache.on("miss", () => {
      throw new Error("from a listener");
    });
    cache.on("miss", () => heard++);
    cache.on("hit", off);
    expect(cache.listenerCount("hit")).toBe(1);
    cache.off("hit", off);
    expect(cache.listenerCount("hit")).toBe(0);
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    expect(cache.peek("k")).toBe(1);
    expect(await warned).toMatchObject({
      code: "CACHE_LISTENER",
      message: 'a listener of "miss" threw: from a listener',
    });
    expect(heard).toBe(1);
  });
});
