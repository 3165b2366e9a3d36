import { LRUCache } from "lru-cache";
import { Entry, MemoryTier } from "../../src/memory-tier.ts";
import { Space } from "../../src/space.ts";
import type { Contender, Policy } from "./policy.ts";
import { Arc, PublishedS3Fifo, Sieve } from "./references.ts";
import { WTinyLfu } from "./w-tiny-lfu.ts";

export const baseline: Contender = { name: "lru-cache", create: (size) => new Lru(size) };

export const contenders: readonly Contender[] = [
  { name: "cache-events", create: (size) => new Tier(size) },
  { name: "S3-FIFO", create: (size) => new PublishedS3Fifo(size) },
  { name: "W-TinyLFU", create: (size) => new WTinyLfu(size) },
  { name: "SIEVE", create: (size) => new Sieve(size) },
  { name: "ARC", create: (size) => new Arc(size) },
];

class Lru implements Policy {
  readonly #cache: LRUCache<number, true>;

  constructor(max: number) {
    this.#cache = new LRUCache({ max });
  }

  read(key: number): boolean {
    if (this.#cache.get(key) === true) return true;
    this.#cache.set(key, true);
    return false;
  }
}

/** The memory tier, driven as the cache drives it: a hit counts up to three, a miss adds. */
class Tier implements Policy {
  readonly #entries = new Map<number, Entry>();
  readonly #space = new Space("");
  readonly #tier: MemoryTier;

  constructor(maxEntries: number) {
    this.#tier = new MemoryTier({
      maxEntries,
      maxBytes: Number.MAX_SAFE_INTEGER,
      isDead: () => false,
      evicted: (entry) => this.#entries.delete(Number(entry.key)),
    });
  }

  read(key: number): boolean {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      if (entry.freq < 3) entry.freq++;
      return true;
    }
    const added = new Entry({
      space: this.#space,
      key: String(key),
      value: key,
      born: 0,
      expiresAt: Infinity,
      tags: [],
      bytes: 1,
    });
    this.#tier.add(added);
    this.#entries.set(key, added);
    return false;
  }
}
