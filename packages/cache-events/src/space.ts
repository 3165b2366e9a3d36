import type { Fence } from "./fence.ts";
import type { Flight } from "./flight.ts";
import type { Entry } from "./memory-tier.ts";
import { ReadCounts } from "./stats.ts";

/** One namespace: its fence, its entries, and the flights that readers may join. */
export class Space {
  readonly name: string;
  readonly fence: Fence = { seq: 0 };
  readonly entries: Map<string, Entry> = new Map();
  readonly flights: Map<string, Flight> = new Map();
  readonly counts: ReadCounts = new ReadCounts();

  constructor(name: string) {
    this.name = name;
  }
}

const idleSpaces = 1_000;

/**
 * The namespaces in use. Those without entries and flights are dropped, with their counts, when there are many: with no compute
 * under way there is nothing that their fence would still have to hold back.
 */
export class Spaces {
  readonly root: Space = new Space("");
  readonly #named = new Map<string, Space>();
  #pruneAt = idleSpaces;

  /** Never creates: a peek into a namespace that nobody uses leaves no trace. */
  find(name: string | undefined): Space | undefined {
    return name === undefined || name === "" ? this.root : this.#named.get(name);
  }

  open(name: string | undefined): Space {
    const found = this.find(name);
    if (found !== undefined || name === undefined) return found ?? this.root;
    if (this.#named.size >= this.#pruneAt) this.#prune();
    const space = new Space(name);
    this.#named.set(name, space);
    return space;
  }

  *all(): Generator<Space> {
    yield this.root;
    yield* this.#named.values();
  }

  #prune(): void {
    for (const [name, space] of this.#named) {
      if (space.entries.size === 0 && space.flights.size === 0) this.#named.delete(name);
    }
    this.#pruneAt = Math.max(idleSpaces, 2 * this.#named.size);
  }
}
