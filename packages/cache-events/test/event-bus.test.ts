import { Keyv } from "keyv";
import { describe, expect, test } from "vitest";
import { CacheEventBus, EventCache } from "../src/index.ts";
import { ManualTimers, deferred, settle } from "./support.ts";

const created = { type: "agentCreated", agentId: "a" } as const;

describe("a bus of one's own", () => {
  test("needs neither a cache nor options", async () => {
    const bus = new CacheEventBus();
    const seen: string[] = [];
    bus.on("agentCreated", ({ agentId }) => seen.push(agentId));
    bus.once("agentCreated", ({ agentId }) => seen.push(`once ${agentId}`));
    await bus.emit(created);
    await bus.emit(created);
    await bus.emit({ type: "swarmScaled", swarmId: "s" });
    expect(seen).toEqual(["a", "once a", "a"]);
    expect(bus.listenerCount("agentCreated")).toBe(1);
  });

  test("has the user's own events, checked by the compiler", async () => {
    type Own = { readonly type: "priceChanged"; readonly sku: string };
    const bus = new CacheEventBus<Own>();
    const seen: string[] = [];
    bus.on("priceChanged", ({ sku }) => seen.push(sku));
    await bus.emit({ type: "priceChanged", sku: "1" });
    // @ts-expect-error an event that is not declared
    await bus.emit({ type: "unknown" });
    expect(seen).toEqual(["1"]);
  });

  test.each([
    ["subscriberTimeoutMs", 0],
    ["maxPending", 0],
    ["onSubscriberError", 1],
    ["timers", {}],
    ["timeoutMs", 1],
  ])("refuses %s: %o", (option, value) => {
    expect(() => new CacheEventBus({ [option]: value })).toThrow(
      expect.objectContaining({ code: "CACHE_OPTION", option }),
    );
  });

  test("once it is closed emit rejects, and nobody hears of it", async () => {
    const bus = new CacheEventBus();
    const cache = new EventCache({ bus });
    let heard = 0;
    bus.on("agentCreated", () => heard++);
    bus.close();
    bus.close();
    await expect(bus.emit(created)).rejects.toMatchObject({ code: "CACHE_CLOSED" });
    expect(heard).toBe(0);
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
  });
});

describe("subscribers", () => {
  test("one that fails, at once or later, with an error or without, is reported and disturbs nobody", async () => {
    const reports: unknown[] = [];
    const bus = new CacheEventBus({
      onSubscriberError: (type, error) => reports.push([type, error]),
    });
    const seen: string[] = [];
    bus.on("agentCreated", () => {
      throw "no error";
    });
    bus.on("agentCreated", async () => {
      await Promise.resolve();
      throw undefined;
    });
    bus.once("agentCreated", () => Promise.reject(new Error("once")));
    bus.on("agentCreated", () => seen.push("last"));
    await bus.emit(created);
    expect(seen).toEqual(["last"]);
    expect(reports).toEqual([
      ["agentCreated", "no error"],
      ["agentCreated", new Error("once")],
      ["agentCreated", undefined],
    ]);
  });

  test("without anyone to tell, or when telling fails, it is a process warning", async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error): number => warnings.push(warning);
    process.on("warning", listen);
    const alone = new CacheEventBus();
    const broken = new CacheEventBus({
      onSubscriberError() {
        throw new Error("the report failed");
      },
    });
    for (const bus of [alone, broken]) {
      bus.on("agentCreated", () => {
        throw new Error("the subscriber failed");
      });
      await bus.emit(created);
    }
    await settle();
    process.off("warning", listen);
    expect(warnings.map(({ message }) => message)).toEqual([
      'a subscriber of "agentCreated" failed: the subscriber failed',
      'a subscriber of "agentCreated" failed: the report failed',
    ]);
    expect(warnings[0]).toMatchObject({ code: "CACHE_SUBSCRIBER" });
  });

  test("a slow one is waited for until its time is up, and misses events while too many are under way", async () => {
    const timers = new ManualTimers();
    const reports: { readonly code: string }[] = [];
    const bus = new CacheEventBus({
      timers,
      subscriberTimeoutMs: 40,
      maxPending: 2,
      onSubscriberError: (_type, error) => reports.push(error as { code: string }),
    });
    let calls = 0;
    bus.on("agentCreated", () => {
      calls++;
      return new Promise(() => {});
    });
    const emitted = [1, 2, 3, 4].map(() => bus.emit(created));
    await settle();
    expect(calls).toBe(2);
    expect(timers.delaysMs).toEqual([40, 40]);
    timers.fire(40);
    await Promise.all(emitted);
    expect(reports.map(({ code }) => code)).toEqual([
      "CACHE_SUBSCRIBER_BUSY",
      "CACHE_SUBSCRIBER_BUSY",
      "CACHE_SUBSCRIBER_TIMEOUT",
      "CACHE_SUBSCRIBER_TIMEOUT",
    ]);
    const last = bus.emit(created);
    await settle();
    expect(calls).toBe(3);
    timers.fire(40);
    await last;
    expect(timers.delaysMs).toEqual([]);
  });

  test("a synchronous one costs no timer", async () => {
    const timers = new ManualTimers();
    const bus = new CacheEventBus({ timers });
    let during: number | undefined;
    bus.on("agentCreated", () => {});
    bus.on("agentCreated", () => {
      during = timers.delaysMs.length;
    });
    await bus.emit(created);
    expect(during).toBe(0);
  });

  test("one taken off during an emit is not called any more; one added hears the next event", async () => {
    const bus = new CacheEventBus();
    const seen: string[] = [];
    const second = (): number => seen.push("second");
    const late = (): number => seen.push("late");
    bus.on("agentCreated", () => {
      seen.push("first");
      bus.off("agentCreated", second).off("agentCreated", second);
      bus.on("agentCreated", late);
    });
    bus.on("agentCreated", second);
    bus.on("agentCreated", () => seen.push("third"));
    await bus.emit(created);
    expect(seen).toEqual(["first", "third"]);
    await bus.emit(created);
    expect(seen).toEqual(["first", "third", "first", "third", "late"]);
  });

  test("once is for one event even when that emits another, and can be taken off", async () => {
    const bus = new CacheEventBus();
    let calls = 0;
    bus.once("agentCreated", async () => {
      calls++;
      await bus.emit(created);
    });
    const never = (): number => calls++;
    bus.once("agentCreated", never);
    bus.off("agentCreated", never);
    await bus.emit(created);
    await bus.emit(created);
    expect(calls).toBe(1);
    expect(bus.listenerCount("agentCreated")).toBe(0);
  });
});

describe("a bus that several caches share", () => {
  const rules = { agentCreated: () => ["agents"] };

  test("one emit invalidates in all of them, before any subscriber runs, until they are closed", async () => {
    const bus = new CacheEventBus();
    const caches = [
      new EventCache({ bus, rules }),
      new EventCache({ bus, rules, store: new Keyv() }),
      new EventCache({ bus }),
    ];
    for (const cache of caches) await cache.set("k", "old", { tags: ["agents"] });
    let seen: unknown;
    bus.on("agentCreated", async () => {
      seen = await Promise.all(caches.map((cache) => cache.get("k")));
    });
    await bus.emit(created);
    expect(seen).toEqual([undefined, undefined, "old"]);
    const [first] = caches;
    await first?.close();
    await bus.emit(created);
    expect(first?.bus).toBe(bus);
    for (const cache of caches.slice(1)) await cache.close();
    await bus.emit(created);
  });

  test("a cache whose rule is broken makes emit reject, the others are invalidated all the same", async () => {
    const bus = new CacheEventBus();
    const broken = { agentCreated: () => "agents" as never };
    const well = new EventCache({ bus, rules });
    const ill = new EventCache({ bus, rules: broken });
    for (const cache of [well, ill]) await cache.set("k", 1, { tags: ["agents"] });
    await expect(bus.emit(created)).rejects.toMatchObject({ code: "CACHE_RULE" });
    expect([well.peek("k"), ill.peek("k")]).toEqual([undefined, undefined]);
    const worse = new EventCache({ bus, rules: broken });
    await expect(bus.emit(created)).rejects.toThrow(AggregateError);
    await Promise.all([ill, worse].map((cache) => cache.close()));
    await bus.emit(created);
  });

  test("each cache announces a subscriber that failed", async () => {
    const bus = new CacheEventBus();
    const caches = [new EventCache({ bus }), new EventCache({ bus })];
    const errors: unknown[] = [];
    for (const cache of caches) cache.on("subscriberError", (event) => errors.push(event));
    bus.on("agentCreated", () => {
      throw new Error("no");
    });
    await bus.emit(created);
    expect(errors).toHaveLength(2);
  });

  test("an emit under way ends well when its subscriber closes bus and caches", async () => {
    const bus = new CacheEventBus();
    const cache = new EventCache({ bus, rules });
    const gate = deferred<void>();
    let second = 0;
    bus.on("agentCreated", async () => {
      await cache.close();
      bus.close();
      await gate.promise;
    });
    bus.on("agentCreated", () => second++);
    const emitted = bus.emit(created);
    gate.resolve();
    await emitted;
    expect(second).toBe(1);
  });
});
