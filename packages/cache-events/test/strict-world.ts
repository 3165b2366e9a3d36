import * as fc from "fast-check";
import type { EventCacheOptions } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyStore } from "./faulty-store.ts";
import { MirroredStore } from "./mirrored-store.ts";
import { ManualTimers, manualClock, settle } from "./support.ts";

// The promises G1, G2 and G3, for several processes on one store. As in the model of one process a value is the moment its compute
// began. Every access of every process to every key of the store happens when the model says so, and may fail or be lost; so does
// every message to a mirror that lags.

const keys = ["a", "b"] as const;
const tags = ["red", "green"] as const;
const declared: Readonly<Record<string, readonly string[]>> = { a: ["red"], b: [] };
const late: Readonly<Record<string, readonly string[]>> = { a: [], b: ["red", "green"] };
const storeTimeoutMs = 77;

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
  { weight: 5, arbitrary: fc.record({ do: kind("finish"), index }) },
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

export interface Step {
  readonly do: string;
  readonly process?: number;
  readonly key?: string;
  readonly tag?: string;
  readonly index?: number;
  readonly fault?: Fault;
  readonly on?: boolean;
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
  readonly #running: (() => void)[] = [];
  readonly #calls: Promise<void>[] = [];
  #time = 0;
  /** Hits that asked no store. */
  peeks = 0;

  constructor(shared: Kind) {
    this.#mirrored = shared === "keyv" ? undefined : new MirroredStore(shared);
    this.#store = this.#mirrored?.store ?? new FaultyStore();
    const options: EventCacheOptions = {
      storeTimeoutMs,
      timers: this.#timers,
      now: this.#clock.now,
      consistency: shared === "lagging" ? "mirrored" : "strict",
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
        return this.#check(at, name, cache.get<number>(name));
      case "finish":
        return this.#running.splice(step.index ?? 0, 1)[0]?.();
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

  async end(): Promise<number> {
    await this.#finish();
    await Promise.all(this.#calls);
    return this.caches.reduce((hits, cache) => hits + cache.stats().hits, 0);
  }

  async #finish(): Promise<void> {
    await this.#quiet();
    while (this.#running.length > 0) {
      this.#running.shift()?.();
      await this.#quiet();
    }
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
    this.#check(at, name, Promise.resolve(value));
  }

  #evict(place: number): void {
    const { data } = this.#store;
    if (this.#mirrored === undefined) data.delete([...data.keys()].at(place) ?? "");
    else this.#mirrored.evict(place);
  }

  #check(at: number, name: string, read: Promise<number | undefined>): void {
    this.#takeIn(at);
    const floors = this.#floors[at];
    const floor = Math.max(
      ...[...this.#tagsOf(name).map((tag) => `tag ${tag}`), `key ${name}`, "everything"].map(
        (what) => floors?.get(what) ?? 0,
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
