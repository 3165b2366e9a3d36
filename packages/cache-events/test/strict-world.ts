import * as fc from "fast-check";
import type { CacheStats, EventCacheOptions } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyStore } from "./faulty-store.ts";
import { MirroredStore } from "./mirrored-store.ts";
import { ManualTimers, manualClock, settle } from "./support.ts";

// The promises G1, G2 and G3, for several processes on one store. As in the model of one process a value is the moment its compute
// began, and so is the `began` of an error. No value is older than its ttl and what the read lets it be stale. Every access of every process to every key of the store happens when the model says so, and may fail or be lost; so does
// every message to a mirror that lags.

const keys = ["a", "b"] as const;
const tags = ["red", "green"] as const;
const declared: Readonly<Record<string, readonly string[]>> = { a: ["red"], b: [] };
const late: Readonly<Record<string, readonly string[]>> = { a: [], b: ["red", "green"] };
const storeTimeoutMs = 77;
const softTimeoutMs = 20;
const ttlMs = 1_000;

const process = fc.nat({ max: 2 });
const key = fc.constantFrom(...keys);
const index = fc.nat({ max: 4 });
const kind = <const K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name);

export const command: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: kind("read"), process, key }) },
  { weight: 1, arbitrary: fc.record({ do: kind("get"), process, key }) },
  { weight: 6, arbitrary: fc.record({ do: kind("peek"), process, key }) },
  { weight: 6, arbitrary: fc.record({ do: kind("warm"), process, key }) },
  { weight: 3, arbitrary: fc.record({ do: kind("deliver"), process }) },
  { weight: 1, arbitrary: fc.record({ do: kind("lose"), process }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: kind("link"), process, on: fc.constantFrom(false, true, true) }),
  },
  { weight: 1, arbitrary: fc.record({ do: kind("many"), process }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: kind("finish"),
      index,
      ending: fc.constantFrom<Ending>("value", "value", "value", "nothing", "error", "answer"),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: kind("time"), ms: fc.constantFrom(1, 250, 500, 700, 1_100) }),
  },
  { weight: 1, arbitrary: fc.record({ do: kind("soft") }) },
  { weight: 12, arbitrary: fc.record({ do: kind("step"), index }) },
  { weight: 8, arbitrary: fc.record({ do: kind("quiet") }) },
  { weight: 8, arbitrary: fc.record({ do: kind("hurry") }) },
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

export type Ending = "value" | "nothing" | "error" | "answer";

export const stretch: fc.Arbitrary<Stretch> = fc.record({
  staleWhileRevalidateMs: fc.constantFrom(0, 300, Infinity),
  staleIfErrorMs: fc.constantFrom(0, 600, Infinity),
  eagerRefreshRatio: fc.constantFrom(1, 0.5),
  negativeTtlMs: fc.constantFrom(0, 400),
  maxRefreshes: fc.constantFrom(1, 32),
  soft: fc.boolean(),
});

export interface Stretch {
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly eagerRefreshRatio: number;
  readonly negativeTtlMs: number;
  readonly maxRefreshes: number;
  readonly soft: boolean;
}

class Failed extends Error {
  readonly began: number;
  readonly answer: boolean;

  constructor(began: number, answer: boolean) {
    super("failed");
    this.began = began;
    this.answer = answer;
  }
}

export interface Step {
  readonly do: string;
  readonly process?: number;
  readonly key?: string;
  readonly tag?: string;
  readonly index?: number;
  readonly fault?: Fault;
  readonly on?: boolean;
  readonly ending?: Ending;
  readonly ms?: number;
}

interface Coming {
  readonly seq: number;
  readonly raise: () => void;
}

/** What the processes share: a Keyv store, or one with mirrors. */
export type Kind = "keyv" | "strict" | "lagging";

export class World {
  readonly #mirrored: MirroredStore | undefined;
  readonly #store: FaultyStore;
  readonly #timers = new ManualTimers();
  readonly #clock = manualClock(Date.now());
  readonly caches: readonly EventCache[];
  readonly #floors: readonly Map<string, number>[];
  /** Floors that do not bind a process before it has taken in a message. */
  readonly #coming: Coming[][];
  readonly #begun = new Map<number, number>();
  /** By value, the clock's time at which its compute ended. */
  readonly #landedAt = new Map<number, number>();
  readonly #staleMs: number;
  readonly #running: ((ending: Ending) => void)[] = [];
  readonly #calls: Promise<void>[] = [];
  #time = 0;
  /** Hits that asked no store. */
  peeks = 0;

  constructor(shared: Kind, { soft, ...stretched }: Stretch) {
    this.#staleMs = Math.max(stretched.staleWhileRevalidateMs, stretched.staleIfErrorMs);
    this.#mirrored = shared === "keyv" ? undefined : new MirroredStore(shared);
    this.#store = this.#mirrored?.store ?? new FaultyStore();
    const options: EventCacheOptions = {
      storeTimeoutMs,
      timers: this.#timers,
      now: this.#clock.now,
      consistency: shared === "lagging" ? "mirrored" : "strict",
      ttlMs,
      ttlJitter: 0,
      negativeErrors: (error) => error instanceof Failed && error.answer,
      ...stretched,
      ...(soft ? { softTimeoutMs } : {}),
    };
    const client = (): NonNullable<EventCacheOptions["store"]> =>
      this.#mirrored?.client() ?? this.#store.client();
    this.caches = [0, 1, 2].map(() => new EventCache({ ...options, store: client() }));
    this.#floors = this.caches.map(() => new Map<string, number>());
    this.#coming = this.caches.map(() => []);
  }

  async step(step: Step): Promise<void> {
    const name = step.key ?? "";
    const at = step.process ?? 0;
    const cache = this.#cache(at);
    const tag = step.tag ?? "";
    switch (step.do) {
      case "read":
        return this.#read(at, name);
      case "get":
        return this.#check(at, [name], cache.get<number>(name), 0);
      case "many":
        return this.#readMany(at);
      case "finish":
        return this.#running.splice(step.index ?? 0, 1)[0]?.(step.ending ?? "value");
      case "time":
        await this.#quiet();
        this.#clock.nowMs += step.ms ?? 0;
        return;
      case "soft":
        this.#timers.fire(softTimeoutMs);
        return settle();
      case "step":
        this.#store.step(step.index ?? 0);
        return settle();
      case "quiet":
        return this.#quiet();
      case "hurry":
        return this.#quiet(1);
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
      case "peek":
        return this.#peek(at, name);
      case "warm":
        return this.#warm(at, name);
      case "deliver":
        this.#mirrored?.deliver(at);
        return;
      case "lose":
        return this.#mirrored?.lose(at);
      case "link":
        return this.#mirrored?.link(at, step.on === true);
      case "evict":
        return this.#evict(step.index ?? 0);
      case "bypass":
        return cache.bypass(step.on === true);
      case "timeout":
        this.#timers.fire(storeTimeoutMs);
        return settle();
      default:
        return this.#store.fail(step.fault ?? "none");
    }
  }

  async end(): Promise<readonly CacheStats[]> {
    await this.#finish();
    await Promise.all(this.#calls);
    return this.caches.map((cache) => cache.stats());
  }

  async #finish(): Promise<void> {
    await this.#rest();
    while (this.#running.length > 0) {
      this.#running.shift()?.("value");
      await this.#rest();
    }
  }

  /** A batch that is late gathers for one turn of the event loop. */
  async #rest(): Promise<void> {
    await this.#quiet();
    await this.#quiet();
  }

  /** All that is asked of the store happens, but for what has waited longest. */
  async #quiet(but = 0): Promise<void> {
    await settle();
    while (this.#store.pending.length > but) {
      this.#store.step(but);
      await settle();
    }
  }

  /** The value counts from when the call ended: an invalidation that overlaps it may come before it. */
  #set(at: number, name: string): void {
    const called = ++this.#time;
    const value = -called;
    this.#begun.set(value, Infinity);
    this.#landedAt.set(value, this.#clock.nowMs);
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
    const compute = ({ tag }: { tag: (...names: string[]) => void }): Promise<number | undefined> =>
      this.#begin([name], (_key, ...names) => tag(...names)).then(([value]) => value);
    const options = { tags: declared[name] ?? [] };
    this.#check(at, [name], this.#cache(at).getOrSet(name, compute, options), this.#staleMs);
  }

  #readMany(at: number): void {
    const read = this.#cache(at).getOrSetMany<number | undefined>(
      keys,
      (missing, { tag }) => this.#begin(missing, tag),
      { tags: (name) => declared[name] ?? [] },
    );
    this.#check(at, keys, read, this.#staleMs);
  }

  /** A compute of `names` that ends when the model says so. */
  #begin(
    names: readonly string[],
    tag: (key: string, ...names: string[]) => void,
  ): Promise<(number | undefined)[]> {
    const began = names.map(() => ++this.#time);
    const { promise, resolve, reject } = Promise.withResolvers<(number | undefined)[]>();
    this.#running.push((ending) => {
      for (const name of names) tag(name, ...(late[name] ?? []));
      for (const value of began) this.#landedAt.set(value, this.#clock.nowMs);
      if (ending === "value") resolve(began);
      else if (ending === "nothing") resolve(began.map(() => undefined));
      else reject(new Failed(began[0] ?? 0, ending === "answer"));
    });
    return promise;
  }

  /** Without haste: the process has the value near, unless a fault is due. */
  async #warm(at: number, name: string): Promise<void> {
    for (let turn = 0; turn < 2; turn++) {
      while (this.#mirrored?.deliver(at) === true);
      this.#read(at, name);
      await this.#finish();
    }
  }

  #peek(at: number, name: string): void {
    const value = this.#cache(at).peek<number>(name);
    if (value !== undefined) this.peeks++;
    this.#check(at, [name], Promise.resolve(value), 0);
  }

  #evict(place: number): void {
    const { data } = this.#store;
    if (this.#mirrored === undefined) data.delete([...data.keys()].at(place) ?? "");
    else this.#mirrored.evict(place);
  }

  #check(
    at: number,
    names: readonly string[],
    read: Promise<number | undefined | readonly (number | undefined)[]>,
    staleMs: number,
  ): void {
    this.#takeIn(at);
    const floors = names.map((name) => this.#floorOf(at, name));
    // What a batch has at hand it has from when it was called.
    const calledMs = names.length > 1 ? this.#clock.nowMs : undefined;
    const checking = async (): Promise<void> => {
      let values: readonly (number | undefined)[];
      try {
        const outcome = await read;
        values = typeof outcome === "object" ? outcome : [outcome];
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        if (error.began <= Math.min(...floors)) throw new Error("stale failure", { cause: error });
        return;
      }
      const nowMs = calledMs ?? this.#clock.nowMs;
      for (const [place, value] of values.entries()) {
        if (value === undefined) continue;
        const begun = this.#begun.get(value) ?? value;
        const floor = floors[place] ?? 0;
        const what = `${names[place]} began at ${begun}`;
        if (begun <= floor) throw new Error(`stale: ${what}, invalidated at ${floor}`);
        const ageMs = nowMs - (this.#landedAt.get(value) ?? nowMs);
        if (ageMs >= ttlMs + staleMs) throw new Error(`too old: ${what}, by ${ageMs} ms`);
      }
    };
    const checked = checking();
    checked.catch(() => {});
    this.#calls.push(checked);
  }

  #floorOf(at: number, name: string): number {
    const covering = this.#tagsOf(name).map((tag) => `tag ${tag}`);
    covering.push(`key ${name}`, "everything");
    return Math.max(...covering.map((what) => this.#floors[at]?.get(what) ?? 0));
  }

  /**
   * Confirmed, it binds the process that asked at once, and every other one once it has taken in the messages of that time, for
   * which a mirror that never lags has none to wait. Refused, it still binds the one that asked.
   */
  #invalidate(at: number, what: string, call: () => Promise<unknown>, when = ++this.#time): void {
    const raise = (who: number) => (): void => {
      const floors = this.#floors[who];
      floors?.set(what, Math.max(when, floors.get(what) ?? 0));
    };
    const confirmed = (): void => {
      raise(at)();
      const seq = this.#mirrored?.seq ?? 0;
      for (const [who, coming] of this.#coming.entries()) coming.push({ seq, raise: raise(who) });
    };
    this.#calls.push(call().then(confirmed, raise(at)));
  }

  #takeIn(at: number): void {
    const known = this.#mirrored?.knownTo(at) ?? 0;
    const coming = this.#coming[at] ?? [];
    const taken = coming.filter(({ seq }) => seq <= known);
    for (const { raise } of taken) raise();
    this.#coming[at] = coming.filter(({ seq }) => seq > known);
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
