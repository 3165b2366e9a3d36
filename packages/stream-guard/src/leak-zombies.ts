import { groupByPlace, originOf } from "./leak-groups.ts";
import type { Member } from "./leak-groups.ts";
import type { Observation } from "./leak-findings.ts";
import type { Origin } from "./leak-origin.ts";

export interface ZombieLimits {
  /** Major collections that what is closed may survive. */
  readonly zombieCollections: number;
  readonly zombieAfterMs: number;
  /** Zombies of one place below which it is not a leak: somebody keeps the last one. */
  readonly minZombies: number;
  readonly maxTracked: number;
  readonly now: () => number;
}

interface Closed {
  readonly ref: WeakRef<object>;
  readonly what: string;
  readonly name: string;
  readonly origin: Origin;
  readonly atMs: number;
  readonly atCollection: number;
}

/** What was closed should be collected; what is not, somebody still refers to. */
export class Zombies {
  readonly #limits: ZombieLimits;
  readonly #closed = new Set<Closed>();
  readonly #byObject = new WeakMap<object, Closed>();
  /** Tells of collection without a look at the object: looking would keep it alive through a marking under way. */
  readonly #registry = new FinalizationRegistry<Closed>((entry) => {
    this.#closed.delete(entry);
  });
  /** Not watched, since `maxTracked` were. */
  skipped = 0;

  constructor(limits: ZombieLimits) {
    this.#limits = limits;
  }

  /** Closed and, as far as known, not collected. */
  get size(): number {
    return this.#closed.size;
  }

  /** To be called when `object` was closed, after `collections` major collections. */
  add(
    object: object,
    entry: Omit<Closed, "ref" | "atMs" | "atCollection">,
    collections: number,
  ): void {
    this.forget(object);
    if (this.#closed.size >= this.#limits.maxTracked) {
      this.skipped += 1;
      return;
    }
    const closed: Closed = {
      ...entry,
      ref: new WeakRef(object),
      atMs: this.#limits.now(),
      atCollection: collections,
    };
    this.#closed.add(closed);
    this.#byObject.set(object, closed);
    this.#registry.register(object, closed, closed);
  }

  /** It is in use again: what is pooled is closed many times, and no zombie for that. */
  forget(object: object): void {
    const closed = this.#byObject.get(object);
    if (closed === undefined) return;
    this.#byObject.delete(object);
    this.#closed.delete(closed);
    this.#registry.unregister(closed);
  }

  look(collections: number): readonly Observation[] {
    const groups = groupByPlace(this.#reachable(collections));
    return groups
      .filter(({ count }) => count >= this.#limits.minZombies)
      .map((group) => ({
        kind: "zombie",
        origin: originOf(group),
        evidence: {
          what: group.what,
          reachable: group.count,
          closedForMs: group.oldestMs,
          majorCollections: this.#limits.zombieCollections,
          examples: group.examples.join(", "),
        },
      }));
  }

  stop(): void {
    for (const entry of this.#closed) this.#registry.unregister(entry);
    this.#closed.clear();
  }

  *#reachable(collections: number): Generator<Member> {
    const now = this.#limits.now();
    for (const entry of this.#closed) {
      const survived = collections - entry.atCollection;
      const ageMs = now - entry.atMs;
      // In order of closing: those behind are younger.
      if (survived < this.#limits.zombieCollections || ageMs < this.#limits.zombieAfterMs) return;
      if (entry.ref.deref() === undefined) this.#closed.delete(entry);
      else yield { origin: entry.origin, what: entry.what, name: entry.name, ageMs };
    }
  }
}
