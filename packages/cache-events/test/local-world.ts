import type { EventCacheOptions } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import { ManualTimers, manualClock, settle } from "./support.ts";

// Time is a counter. A value is the moment its compute began, and so is the `began` of an error; an invalidation sets the floor of
// what it covers to the moment it was called. A read must return a value above every floor it found when it began, and none older
// than its ttl and what the read lets it be stale.

export const keys = ["a:1", "a:2", "b:1"] as const;
export const tags = ["red", "green", "blue"] as const;
export const ttlMs = 1_000;
export const softTimeoutMs = 20;
const loadTimeoutMs = 30_000;

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

export type Ending = "value" | "nothing" | "error" | "answer";

export interface Step {
  readonly do: string;
  readonly key?: string;
  readonly namespace?: string | undefined;
  readonly tag?: string;
  readonly index?: number;
  readonly early?: boolean;
  readonly on?: boolean;
  readonly ending?: Ending;
  readonly ms?: number;
}

export interface Stretch {
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly eagerRefreshRatio: number;
  readonly negativeTtlMs: number;
  readonly maxRefreshes: number;
  readonly soft: boolean;
}

interface Running {
  readonly over: Promise<unknown>;
  end(ending: Ending): void;
}

/** An error that says, like a value, when its compute began. */
class Failed extends Error {
  readonly began: number;
  readonly answer: boolean;

  constructor(began: number, answer: boolean) {
    super("failed");
    this.began = began;
    this.answer = answer;
  }
}

export class World {
  readonly clock = manualClock();
  readonly timers = new ManualTimers();
  readonly cache: EventCache;
  /** Reads that the cache has to have counted as a hit or a miss. */
  counted = 0;
  /** Reads that may have a soft timer; of a batch that failed by one key, those of the other keys go on. */
  waiting = 0;
  readonly #staleMs: number;
  readonly #floors = new Map<string, number>();
  /** By value, the clock's time at which its compute ended. */
  readonly #landedAt = new Map<number, number>();
  readonly #running: Running[] = [];
  readonly #reads: Promise<void>[] = [];
  #epoch = 0;
  #time = 0;

  constructor({ soft, ...stretch }: Stretch, options: EventCacheOptions = {}) {
    this.#staleMs = Math.max(stretch.staleWhileRevalidateMs, stretch.staleIfErrorMs);
    this.cache = new EventCache({
      maxEntries: 3,
      ttlMs,
      ttlJitter: 0,
      now: this.clock.now,
      timers: this.timers,
      random: () => 0.5,
      epoch: () => this.#epoch,
      negativeErrors: (error) => error instanceof Failed && error.answer,
      rules: { taskCompleted: ({ taskId }) => [taskId] },
      loadTimeoutMs,
      ...stretch,
      ...(soft ? { softTimeoutMs } : {}),
      ...options,
    });
  }

  async step(step: Step): Promise<void> {
    const { key = "", namespace = "", tag = "" } = step;
    const { cache } = this;
    const at = namespace === "" ? {} : { namespace };
    switch (step.do) {
      case "read":
        return this.#read(key, namespace, step.early === true);
      case "many":
        return this.#readMany(namespace);
      case "peek": {
        const before = cache.stats().hits;
        const value = cache.peek<number>(key, at);
        this.counted += cache.stats().hits - before;
        return this.#check(key, this.#floorOf(key, namespace), value, 0);
      }
      case "get": {
        const floor = this.#floorOf(key, namespace);
        this.#count(1);
        return this.#check(key, floor, await cache.get<number>(key, at), 0);
      }
      case "finish":
        return this.#running.splice(step.index ?? 0, 1)[0]?.end(step.ending ?? "value");
      case "set":
        return this.#set(key, namespace);
      case "bypass":
        return cache.bypass(step.on === true);
      case "epoch":
        this.#epoch++;
        this.#floors.set("everything", ++this.#time);
        return;
      case "time":
        await settle();
        this.clock.nowMs += step.ms ?? 0;
        return;
      case "soft":
        this.timers.fire(softTimeoutMs);
        return settle();
      case "timeout":
        this.timers.fire(loadTimeoutMs);
        return settle();
      case "flush":
        return settle();
      default:
        return this.#invalidate(step.do, key, namespace, tag);
    }
  }

  async end(): Promise<void> {
    await this.#quiet();
    while (this.#running.length > 0) {
      this.#running.shift()?.end("value");
      await this.#quiet();
    }
    await Promise.all(this.#reads);
  }

  /** A batch that is late gathers for one turn of the event loop. */
  async #quiet(): Promise<void> {
    await settle();
    await settle();
  }

  #read(key: string, namespace: string, early: boolean): void {
    const floor = this.#floorOf(key, namespace);
    this.#count(1);
    const read = this.cache.getOrSet<number | undefined>(
      key,
      ({ tag }) => {
        if (early) tag(...(late[key] ?? []));
        const [promise] = this.#begin([key], (_key, ...names) => tag(...names));
        return promise?.then(([value]) => value);
      },
      { tags: declared[key] ?? [], namespace },
    );
    this.#watch(read, (value) => this.#check(key, floor, value, this.#staleMs), [[key, floor]]);
  }

  #readMany(namespace: string): void {
    const floors = keys.map((key) => [key, this.#floorOf(key, namespace)] as const);
    const calledMs = this.clock.nowMs;
    this.#count(keys.length);
    const read = this.cache.getOrSetMany<number | undefined>(
      keys,
      async (missing, { tag }) => {
        const [promise] = this.#begin(missing, tag);
        return (await promise) ?? [];
      },
      { tags: (key) => declared[key] ?? [], namespace },
    );
    const check = (values: readonly (number | undefined)[]): void => {
      for (const [index, [key, floor]] of floors.entries())
        this.#check(key, floor, values[index], this.#staleMs, calledMs);
    };
    this.#watch(read, check, floors);
  }

  /** A compute of `names` that ends when the model says so. */
  #begin(
    names: readonly string[],
    tag: (key: string, ...names: string[]) => void,
  ): readonly [Promise<(number | undefined)[]>] {
    const began = names.map(() => ++this.#time);
    const { promise, resolve, reject } = Promise.withResolvers<(number | undefined)[]>();
    this.#running.push({
      over: promise.catch(() => {}),
      end: (ending) => {
        for (const name of names) tag(name, ...(late[name] ?? []));
        for (const value of began) this.#landedAt.set(value, this.clock.nowMs);
        if (ending === "value") resolve(began);
        else if (ending === "nothing") resolve(began.map(() => undefined));
        else reject(new Failed(began[0] ?? 0, ending === "answer"));
      },
    });
    return [promise];
  }

  #watch<T>(
    read: Promise<T>,
    check: (value: T) => void,
    floors: readonly (readonly [string, number])[],
  ): void {
    this.waiting++;
    const watching = async (): Promise<void> => {
      let value: T;
      try {
        value = await read;
      } catch (error) {
        this.waiting++;
        void this.#computesOver().then(() => this.waiting--);
        if (!(error instanceof Failed)) return;
        const floor = Math.min(...floors.map(([, one]) => one));
        if (error.began <= floor) throw new Error("stale: a failure", { cause: error });
        return;
      } finally {
        this.waiting--;
      }
      check(value);
    };
    const watched = watching();
    watched.catch(() => {});
    this.#reads.push(watched);
  }

  async #computesOver(): Promise<void> {
    await Promise.all(this.#running.map(({ over }) => over));
    await settle();
  }

  #set(key: string, namespace: string): Promise<void> {
    this.#floors.set(`key ${namespace} ${key}`, ++this.#time);
    const value = ++this.#time;
    this.#landedAt.set(value, this.clock.nowMs);
    return this.cache.set(key, value, { namespace, tags: tagsOf(key) });
  }

  async #invalidate(kind: string, key: string, namespace: string, tag: string): Promise<void> {
    const { cache } = this;
    const called = ++this.#time;
    const calls: Readonly<Record<string, () => readonly [Promise<unknown>, readonly string[]]>> = {
      tag: () => [cache.invalidateByTags([tag]), [`tag ${tag}`]],
      write: () => [cache.write([tag], () => {}), [`tag ${tag}`]],
      emit: () => [cache.bus.emit({ type: "taskCompleted", taskId: tag }), [`tag ${tag}`]],
      event: () => [cache.clear({ event: { type: "taskCompleted", taskId: tag } }), [`tag ${tag}`]],
      delete: () => [cache.delete(key, { namespace }), [`key ${namespace} ${key}`]],
      namespace: () => [cache.clear({ namespace }), [`space ${namespace}`]],
      prefix: () => [cache.clear({ prefix: "a:" }), [...inBoth("a:1"), ...inBoth("a:2")]],
      prefixInNamespace: () => [
        cache.clear({ prefix: "a:", namespace }),
        [`key ${namespace} a:1`, `key ${namespace} a:2`],
      ],
      tagInNamespace: () => [
        cache.clear({ tags: ["red"], namespace }),
        [`key ${namespace} a:1`, `key ${namespace} a:2`],
      ],
      everything: () => [cache.clear(), ["everything"]],
    };
    const call = calls[kind];
    if (call === undefined) throw new Error(`no step "${kind}"`);
    const [done, covered] = call();
    await done;
    for (const what of covered) this.#floors.set(what, called);
  }

  /** `atMs` is when the value was handed out; a batch hands out what it has before it has the rest. */
  #check(
    key: string,
    floor: number,
    value: number | undefined,
    staleMs: number,
    atMs: number = this.clock.nowMs,
  ): void {
    if (value === undefined) return;
    if (value <= floor) throw new Error(`stale: ${key} began at ${value}, invalidated at ${floor}`);
    const ageMs = atMs - (this.#landedAt.get(value) ?? atMs);
    if (ageMs >= ttlMs + staleMs) throw new Error(`too old: ${key} by ${ageMs} ms`);
  }

  #count(reads: number): void {
    if (!this.cache.bypassed) this.counted += reads;
  }

  #floorOf(key: string, namespace: string): number {
    const covering = tagsOf(key).map((tag) => `tag ${tag}`);
    covering.push(`key ${namespace} ${key}`, `space ${namespace}`, "everything");
    return Math.max(0, ...covering.map((what) => this.#floors.get(what) ?? 0));
  }
}

function inBoth(key: string): readonly string[] {
  return [`key  ${key}`, `key tenant ${key}`];
}

function tagsOf(key: string): readonly string[] {
  return [...(declared[key] ?? []), ...(late[key] ?? [])];
}
