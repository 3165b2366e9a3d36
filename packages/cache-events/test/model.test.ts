import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { manualClock, settle } from "./support.ts";

// The promise G1, for one process. Time is a counter. A value is the moment its compute began; an invalidation sets the floor of
// what it covers to the moment it was called; a read must return a value above every floor it found when it began.

const keys = ["a:1", "a:2", "b:1"] as const;
const tags = ["red", "green", "blue"] as const;
const namespaces = [undefined, "tenant"] as const;

/** Tags a key has always (declared by every reader) and those that only its compute names. */
const declared: Readonly<Record<string, readonly string[]>> = {
  "a:1": ["red"],
  "a:2": ["red", "green"],
  "b:1": [],
};
const late: Readonly<Record<string, readonly string[]>> = {
  "a:1": ["green"],
  "a:2": [],
  "b:1": ["blue"],
};

interface Running {
  finish(): void;
}

const key = fc.constantFrom(...keys);
const namespace = fc.constantFrom(...namespaces);
const index = fc.nat({ max: 2 });

const command = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("read"), key, namespace, early: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("peek"), key, namespace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("get"), key, namespace }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constant("finish"), index }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tag"), tag: fc.constantFrom(...tags) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("write"), tag: fc.constantFrom(...tags) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("set"), key, namespace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete"), key, namespace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("namespace"), namespace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("prefix"), namespace: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("tagInNamespace"), namespace }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("everything") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("epoch") }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("bypass"), on: fc.constantFrom(false, false, true) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("flush") }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("time"), key: fc.integer({ min: 1, max: 400 }) }),
  },
);

interface Step {
  readonly do: string;
  readonly key?: string | number;
  readonly namespace?: string | boolean | undefined;
  readonly tag?: string;
  readonly index?: number;
  readonly early?: boolean;
  readonly on?: boolean;
}

class World {
  readonly clock = manualClock();
  epoch = 0;
  readonly cache = new EventCache({
    maxEntries: 3,
    ttlMs: 1_000,
    now: this.clock.now,
    random: () => 0.5,
    epoch: () => this.epoch,
  });
  readonly #floors = new Map<string, number>();
  readonly #running: Running[] = [];
  readonly reads: Promise<void>[] = [];
  #time = 0;

  async step(step: Step): Promise<void> {
    const name = String(step.key);
    const space = typeof step.namespace === "string" ? step.namespace : undefined;
    const at = space === undefined ? {} : { namespace: space };
    const { cache } = this;
    switch (step.do) {
      case "read":
        return this.#read(name, space, step.early === true);
      case "peek":
        return this.#check(name, this.#floorOf(name, space), cache.peek<number>(name, at));
      case "get":
        return this.#get(name, space);
      case "finish":
        return this.#running.splice(step.index ?? 0, 1)[0]?.finish();
      case "tag":
        return this.#invalidate([`tag ${step.tag}`], () => cache.invalidateByTags([`${step.tag}`]));
      case "write":
        return this.#invalidate([`tag ${step.tag}`], () => cache.write([`${step.tag}`], () => {}));
      case "set":
        this.#floors.set(`key ${space} ${name}`, ++this.#time);
        return cache.set(name, ++this.#time, { ...at, tags: this.#tagsOf(name) });
      case "delete":
        return this.#invalidate([`key ${space} ${name}`], () => cache.delete(name, at));
      case "namespace":
        return this.#invalidate([`space ${space}`], () => cache.clear({ namespace: space ?? "" }));
      case "prefix": {
        const within = step.namespace === true ? ["tenant"] : [undefined, "tenant"];
        const covered = within.flatMap((one) => [`key ${one} a:1`, `key ${one} a:2`]);
        const only = step.namespace === true ? { namespace: "tenant" } : {};
        return this.#invalidate(covered, () => cache.clear({ prefix: "a:", ...only }));
      }
      case "tagInNamespace": {
        const red = [`key ${space} a:1`, `key ${space} a:2`];
        const selection = { tags: ["red"], namespace: space ?? "" };
        return this.#invalidate(red, () => cache.clear(selection));
      }
      case "everything":
        return this.#invalidate(["everything"], () => cache.clear());
      case "epoch":
        this.epoch++;
        this.#floors.set("everything", ++this.#time);
        return;
      case "bypass":
        return cache.bypass(step.on === true);
      case "time":
        this.clock.nowMs += Number(step.key);
        return;
      default:
        return settle();
    }
  }

  async end(): Promise<void> {
    await settle();
    while (this.#running.length > 0) {
      this.#running.shift()?.finish();
      await settle();
    }
    await Promise.all(this.reads);
  }

  #read(name: string, space: string | undefined, early: boolean): void {
    const floor = this.#floorOf(name, space);
    const value = this.cache.getOrSet<number>(
      name,
      ({ tag }) => {
        const began = ++this.#time;
        const { promise, resolve } = Promise.withResolvers<number>();
        if (early) tag(...(late[name] ?? []));
        this.#running.push({
          finish() {
            tag(...(late[name] ?? []));
            resolve(began);
          },
        });
        return promise;
      },
      { tags: declared[name] ?? [], ...(space === undefined ? {} : { namespace: space }) },
    );
    this.reads.push(value.then((got) => this.#check(name, floor, got)));
  }

  async #get(name: string, space: string | undefined): Promise<void> {
    const floor = this.#floorOf(name, space);
    const at = space === undefined ? {} : { namespace: space };
    this.#check(name, floor, await this.cache.get<number>(name, at));
  }

  async #invalidate(covered: readonly string[], call: () => Promise<unknown>): Promise<void> {
    const called = ++this.#time;
    await call();
    for (const what of covered) this.#floors.set(what, called);
  }

  #check(name: string, floor: number, value: number | undefined): void {
    if (value !== undefined && value <= floor)
      throw new Error(`stale: ${name} began at ${value}, invalidated at ${floor}`);
  }

  #tagsOf(name: string): readonly string[] {
    return [...(declared[name] ?? []), ...(late[name] ?? [])];
  }

  #floorOf(name: string, space: string | undefined): number {
    const covering = this.#tagsOf(name).map((tag) => `tag ${tag}`);
    covering.push(`key ${space} ${name}`, `space ${space}`, "everything");
    return Math.max(0, ...covering.map((what) => this.#floors.get(what) ?? 0));
  }
}

describe("G1 in one process", () => {
  test("no interleaving of reads, computes and invalidations lets a read return what was invalidated before it began", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 5, maxLength: 60, size: "max" }),
        async (steps) => {
          const world = new World();
          for (const step of steps) await world.step(step);
          await world.end();
        },
      ),
      { numRuns: 1_500, timeout: 2_000 },
    );
  });

  test("no sequence of operations makes bookkeeping outgrow the entries and the computes under way", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 5, maxLength: 80, size: "max" }),
        async (steps) => {
          const world = new World();
          for (const step of steps) {
            await world.step(step);
            const { entries, flights, tags: kept, ghosts, byNamespace } = world.cache.stats();
            expect(kept).toBeLessThanOrEqual(2 * (entries + flights));
            expect(ghosts).toBeLessThanOrEqual(entries);
            expect(Object.keys(byNamespace).length).toBeLessThanOrEqual(2);
          }
          await world.end();
          await world.cache.clear();
          expect(world.cache.stats()).toMatchObject({
            entries: 0,
            memoryBytes: 0,
            flights: 0,
            tags: 0,
            ghosts: 0,
          });
        },
      ),
      { numRuns: 300 },
    );
  });
});
