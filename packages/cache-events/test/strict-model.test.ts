import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyStore } from "./faulty-store.ts";
import { ManualTimers, manualClock, settle } from "./support.ts";

// The promises G1 and G2, for several processes on one store. As in the model of one process a value is the moment its compute
// began. Every access of every process to every key of the store happens when the model says so, and may fail or be lost.

const keys = ["a", "b"] as const;
const tags = ["red", "green"] as const;
const declared: Readonly<Record<string, readonly string[]>> = { a: ["red"], b: [] };
const late: Readonly<Record<string, readonly string[]>> = { a: [], b: ["red", "green"] };
const storeTimeoutMs = 77;

const process = fc.nat({ max: 2 });
const key = fc.constantFrom(...keys);
const index = fc.nat({ max: 4 });
const kind = <const K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name);

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: kind("read"), process, key }) },
  { weight: 1, arbitrary: fc.record({ do: kind("get"), process, key }) },
  { weight: 5, arbitrary: fc.record({ do: kind("finish"), index }) },
  { weight: 12, arbitrary: fc.record({ do: kind("step"), index }) },
  { weight: 8, arbitrary: fc.record({ do: kind("quiet") }) },
  { weight: 3, arbitrary: fc.record({ do: kind("tag"), process, tag: fc.constantFrom(...tags) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: kind("write"), process, tag: fc.constantFrom(...tags) }),
  },
  { weight: 1, arbitrary: fc.record({ do: kind("set"), process, key }) },
  { weight: 1, arbitrary: fc.record({ do: kind("delete"), process, key }) },
  { weight: 1, arbitrary: fc.record({ do: kind("everything"), process }) },
  { weight: 1, arbitrary: fc.record({ do: kind("namespace"), process }) },
  { weight: 1, arbitrary: fc.record({ do: kind("evict"), index: fc.nat({ max: 20 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: kind("bypass"), process, on: fc.constantFrom(false, true) }),
  },
  { weight: 1, arbitrary: fc.record({ do: kind("timeout") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: kind("fault"),
      fault: fc.constantFrom<Fault>("lost", "unanswered"),
    }),
  },
);

interface Step {
  readonly do: string;
  readonly process?: number;
  readonly key?: string;
  readonly tag?: string;
  readonly index?: number;
  readonly fault?: Fault;
  readonly on?: boolean;
}

class World {
  readonly store = new FaultyStore();
  readonly #timers = new ManualTimers();
  readonly #clock = manualClock(Date.now());
  readonly caches = [0, 1, 2].map(
    () =>
      new EventCache({
        store: this.store.client(),
        storeTimeoutMs,
        timers: this.#timers,
        now: this.#clock.now,
      }),
  );
  readonly #floors = new Map<string, number>();
  readonly #ownFloors = this.caches.map(() => new Map<string, number>());
  readonly #begun = new Map<number, number>();
  readonly #running: (() => void)[] = [];
  readonly #calls: Promise<void>[] = [];
  #time = 0;

  async step(step: Step): Promise<void> {
    const name = step.key ?? "";
    const at = step.process ?? 0;
    const cache = this.#cache(at);
    const tag = step.tag ?? "";
    switch (step.do) {
      case "read":
        return this.#read(at, name);
      case "get":
        return this.#check(at, name, cache.get<number>(name));
      case "finish":
        return this.#running.splice(step.index ?? 0, 1)[0]?.();
      case "step":
        this.store.step(step.index ?? 0);
        return settle();
      case "quiet":
        return this.#quiet();
      case "tag":
        return this.#invalidate(at, `tag ${tag}`, () => cache.invalidateByTags([tag]));
      case "write":
        return this.#invalidate(at, `tag ${tag}`, () => cache.write([tag], () => {}));
      case "set":
        return this.#set(at, name);
      case "delete":
        return this.#invalidate(at, `key ${name}`, () => cache.delete(name));
      case "everything":
        return this.#invalidate(at, "everything", () => cache.clear());
      case "namespace":
        return this.#invalidate(at, "everything", () => cache.clear({ namespace: "" }));
      case "evict":
        this.store.data.delete([...this.store.data.keys()].at(step.index ?? 0) ?? "");
        return;
      case "bypass":
        return cache.bypass(step.on === true);
      case "timeout":
        this.#timers.fire(storeTimeoutMs);
        return settle();
      default:
        return this.store.fail(step.fault ?? "none");
    }
  }

  async end(): Promise<number> {
    await this.#quiet();
    while (this.#running.length > 0) {
      this.#running.shift()?.();
      await this.#quiet();
    }
    await Promise.all(this.#calls);
    return this.caches.reduce((hits, cache) => hits + cache.stats().hits, 0);
  }

  async #quiet(): Promise<void> {
    await settle();
    while (this.store.pending.length > 0) {
      this.store.step(0);
      await settle();
    }
  }

  /** The value counts from when the call ended: an invalidation that overlaps it may come before it. */
  #set(at: number, name: string): void {
    const called = ++this.#time;
    const value = -called;
    this.#begun.set(value, Infinity);
    const options = { tags: this.#tagsOf(name) };
    const call = async (): Promise<void> => {
      try {
        await this.#cache(at).set(name, value, options);
      } finally {
        this.#begun.set(value, ++this.#time);
      }
    };
    this.#invalidate(at, `key ${name}`, call, called);
  }

  #read(at: number, name: string): void {
    const compute = ({ tag }: { tag: (...names: string[]) => void }): Promise<number> => {
      const began = ++this.#time;
      const { promise, resolve } = Promise.withResolvers<number>();
      this.#running.push(() => {
        tag(...(late[name] ?? []));
        resolve(began);
      });
      return promise;
    };
    this.#check(at, name, this.#cache(at).getOrSet(name, compute, { tags: declared[name] ?? [] }));
  }

  #check(at: number, name: string, read: Promise<number | undefined>): void {
    const floor = Math.max(
      ...[...this.#tagsOf(name).map((tag) => `tag ${tag}`), `key ${name}`, "everything"].flatMap(
        (what) => [this.#floors.get(what) ?? 0, this.#ownFloors[at]?.get(what) ?? 0],
      ),
    );
    const checking = async (): Promise<void> => {
      const value = await read;
      const begun = value === undefined ? Infinity : (this.#begun.get(value) ?? value);
      if (begun <= floor)
        throw new Error(`stale: ${name} began at ${begun}, invalidated at ${floor}`);
    };
    const checked = checking();
    checked.catch(() => {});
    this.#calls.push(checked);
  }

  /** Once confirmed it binds every process; refused, it still binds the one that asked. */
  #invalidate(at: number, what: string, call: () => Promise<unknown>, when = ++this.#time): void {
    const raise = (floors: Map<string, number> | undefined) => (): void => {
      floors?.set(what, Math.max(when, floors.get(what) ?? 0));
    };
    this.#calls.push(call().then(raise(this.#floors), raise(this.#ownFloors[at])));
  }

  #cache(at: number): EventCache {
    const cache = this.caches[at];
    if (cache === undefined) throw new Error(`no process ${at}`);
    return cache;
  }

  #tagsOf(name: string): readonly string[] {
    return [...(declared[name] ?? []), ...(late[name] ?? [])];
  }
}

describe("G1 and G2 in several processes on one store", () => {
  test("no interleaving, fault, lost fence or late write lets a read return what was invalidated before it began", async () => {
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 10, maxLength: 80, size: "max" }),
        async (steps) => {
          const world = new World();
          for (const step of steps) await world.step(step);
          hits += await world.end();
        },
      ),
      { numRuns: 3_000, timeout: 5_000 },
    );
    expect(hits).toBeGreaterThan(100);
  }, 60_000);
});
