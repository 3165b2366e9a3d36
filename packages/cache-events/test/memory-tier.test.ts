import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Entry, MemoryTier } from "../src/memory-tier.ts";
import { Space } from "../src/space.ts";

function entryOf(key: string, bytes = 1, space: Space = new Space("")): Entry {
  return new Entry({
    space,
    key,
    value: key,
    born: 0,
    expiresAt: Infinity,
    tags: [],
    values: [],
    bytes,
  });
}

describe("the eviction policy", () => {
  test("never exceeds its bounds, and knows its entries and bytes exactly", () => {
    const step = fc.record({
      do: fc.constantFrom("add", "add", "add", "touch", "remove", "die"),
      key: fc.nat({ max: 30 }),
      bytes: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 99, 100)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const live = new Map<number, Entry>();
        const dead = new Set<Entry>();
        const tier = new MemoryTier({
          maxEntries: 10,
          maxBytes: 100,
          isDead: (entry) => dead.has(entry),
          evicted: (entry, wasDead) => {
            expect(wasDead).toBe(dead.has(entry));
            expect(live.delete(Number(entry.key))).toBe(true);
          },
        });
        for (const { do: action, key, bytes } of steps) {
          const present = live.get(key);
          if (action === "touch" && present !== undefined)
            present.freq = Math.min(3, present.freq + 1);
          if (action === "die" && present !== undefined) dead.add(present);
          if ((action === "add" || action === "remove") && present !== undefined) {
            live.delete(key);
            tier.remove(present);
          }
          if (action === "add") {
            const entry = entryOf(String(key), bytes);
            tier.add(entry);
            live.set(key, entry);
          }
          expect(tier.entries).toBe(live.size);
          expect(tier.entries).toBeLessThanOrEqual(10);
          expect(tier.bytes).toBe([...live.values()].reduce((sum, entry) => sum + entry.bytes, 0));
          expect(tier.bytes).toBeLessThanOrEqual(100);
          expect(tier.ghosts).toBeLessThanOrEqual(tier.entries);
        }
      }),
    );
  });

  test("an entry as large as the budget drives out all others, and the next one drives it out", () => {
    const evicted: string[] = [];
    const tier = tierOf(1_000, evicted, 100);
    for (let index = 0; index < 100; index++) tier.add(entryOf(`k${index}`));
    tier.add(entryOf("whole", 100));
    expect(evicted).toHaveLength(100);
    expect([tier.entries, tier.bytes, tier.ghosts]).toEqual([1, 100, 1]);
    tier.add(entryOf("next"));
    expect(evicted.at(-1)).toBe("whole");
    expect([tier.entries, tier.bytes]).toEqual([1, 1]);
  });

  test("sizes with fractions are counted up, so that sums are exact", () => {
    const tier = tierOf(10, [], 10);
    const parts = [0.1, 0.2, 0.3].map((bytes, index) => entryOf(`k${index}`, bytes));
    for (const part of parts) tier.add(part);
    expect(tier.bytes).toBe(3);
    for (const part of parts) tier.remove(part);
    expect(tier.bytes).toBe(0);
  });

  test("one add passes over 64 entries at most, however often all were read", () => {
    const size = 10_000;
    let examined = 0;
    const tier = new MemoryTier({
      maxEntries: size,
      maxBytes: Infinity,
      isDead: () => ++examined < 0,
      evicted: () => {},
    });
    const entries = Array.from({ length: 3 * size }, (_, index) => entryOf(`k${index}`));
    for (const entry of entries) {
      const before = examined;
      tier.add(entry);
      entry.freq = 3;
      expect(examined - before).toBeLessThanOrEqual(65);
      expect(tier.entries).toBeLessThanOrEqual(size);
    }
  });

  test("keys that all have the same fingerprint are held like others", () => {
    const evicted: string[] = [];
    const tier = tierOf(100, evicted);
    const held = Array.from({ length: 1_000 }, () => entryOf("same"));
    for (const entry of held) tier.add(entry);
    expect(evicted).toHaveLength(900);
    expect([tier.entries, tier.bytes]).toEqual([100, 100]);
    expect(tier.ghosts).toBeLessThanOrEqual(1);
    for (const entry of held) if (entry.list !== undefined) tier.remove(entry);
    expect([tier.entries, tier.bytes, tier.ghosts]).toEqual([0, 0, 0]);
  });

  test("what was read again outlives a scan of keys that are read once", () => {
    const evicted: string[] = [];
    const tier = tierOf(10, evicted);
    const hot = entryOf("hot");
    tier.add(hot);
    hot.freq = 1;
    for (let index = 0; index < 200; index++) tier.add(entryOf(`scan${index}`));
    expect(evicted).not.toContain("hot");
    expect(evicted).toHaveLength(191);
  });

  test("what comes back soon after its eviction is kept longer", () => {
    const evicted: string[] = [];
    const tier = tierOf(10, evicted);
    for (let index = 0; index < 11; index++) tier.add(entryOf(`k${index}`));
    expect(evicted).toEqual(["k0"]);
    tier.add(entryOf("k0"));
    for (let index = 100; index < 150; index++) tier.add(entryOf(`k${index}`));
    expect(evicted.filter((key) => key === "k0")).toHaveLength(1);
  });

  test("entries that no read may use go first, and are not counted as evicted", () => {
    const dead = new Set(["a"]);
    const evicted: (readonly [string, boolean])[] = [];
    const tier = new MemoryTier({
      maxEntries: 2,
      maxBytes: 100,
      isDead: ({ key }) => dead.has(key),
      evicted: ({ key }, wasDead) => evicted.push([key, wasDead]),
    });
    const a = entryOf("a");
    tier.add(a);
    a.freq = 3;
    tier.add(entryOf("b"));
    tier.add(entryOf("c"));
    expect(evicted).toEqual([["a", true]]);
    expect(tier.ghosts).toBe(0);
  });

  test("an entry that has died in the main queue goes however often it was read", () => {
    const dead = new Set<string>();
    const evicted: string[] = [];
    const tier = new MemoryTier({
      maxEntries: 2,
      maxBytes: 100,
      isDead: ({ key }) => dead.has(key),
      evicted: ({ key }) => evicted.push(key),
    });
    const [a, b] = [entryOf("a"), entryOf("b")];
    tier.add(a);
    tier.add(b);
    a.freq = 3;
    b.freq = 3;
    tier.add(entryOf("c"));
    expect(evicted).toHaveLength(1);
    const survivor = evicted[0] === "a" ? b : a;
    survivor.freq = 3;
    dead.add(survivor.key);
    const c = entryOf("d");
    c.freq = 3;
    tier.add(c);
    tier.add(entryOf("e"));
    expect(evicted).toContain(survivor.key);
  });

  test("serves Zipf-like reads better than LRU by five points", () => {
    const keys = zipfKeys(30_000, 10_000);
    const size = 100;
    expect(hitRatio(keys, size) - lruHitRatio(keys, size)).toBeGreaterThan(0.05);
  });

  test("stays within 1.5 points of LRU where only new keys are read again", () => {
    const keys = recentKeys(30_000);
    expect(hitRatio(keys, 500) - lruHitRatio(keys, 500)).toBeGreaterThan(-0.015);
  });

  test("serves Zipf-like reads as well after a time in which only new keys were read again", () => {
    const size = 100;
    const [before, keys] = [recentKeys(10_000), zipfKeys(30_000, 10_000)];
    const gain = (reads: readonly string[]): number =>
      reads.length * (hitRatio(reads, size) - lruHitRatio(reads, size));
    expect((gain([...before, ...keys]) - gain(before)) / keys.length).toBeGreaterThan(0.05);
  });

  test("keeps a part of a loop that does not fit, of which LRU keeps nothing", () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `k${index % 600}`);
    expect(lruHitRatio(keys, 500)).toBe(0);
    expect(hitRatio(keys, 500)).toBeGreaterThan(0.2);
  });
});

function tierOf(maxEntries: number, evicted: string[], maxBytes = Infinity): MemoryTier {
  return new MemoryTier({
    maxEntries,
    maxBytes,
    isDead: () => false,
    evicted: ({ key }) => evicted.push(key),
  });
}

function hitRatio(keys: readonly string[], size: number): number {
  const live = new Map<string, Entry>();
  const tier = new MemoryTier({
    maxEntries: size,
    maxBytes: Infinity,
    isDead: () => false,
    evicted: ({ key }) => live.delete(key),
  });
  let hits = 0;
  for (const key of keys) {
    const entry = live.get(key);
    if (entry === undefined) {
      const added = entryOf(key);
      tier.add(added);
      live.set(key, added);
    } else {
      hits++;
      entry.freq = Math.min(3, entry.freq + 1);
    }
  }
  return hits / keys.length;
}

function lruHitRatio(keys: readonly string[], size: number): number {
  const live = new Set<string>();
  let hits = 0;
  for (const key of keys) {
    if (live.delete(key)) hits++;
    live.add(key);
    if (live.size > size) for (const oldest of live) if (live.delete(oldest)) break;
  }
  return hits / keys.length;
}

/** Every other read is of a new key, the others of one of the newest, the newer the likelier. */
function recentKeys(length: number): readonly string[] {
  const random = randomOf(7);
  let newest = 0;
  return Array.from({ length }, (_, index) => {
    const age = index % 2 === 0 ? 0 : Math.floor(-500 * Math.log(1 - random()));
    if (index % 2 === 0) newest++;
    return `new${Math.max(0, newest - age)}`;
  });
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function zipfKeys(length: number, distinct: number): readonly string[] {
  const weights = Array.from({ length: distinct }, (_, rank) => 1 / (rank + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const random = randomOf(42);
  const cumulative: number[] = [];
  let sum = 0;
  for (const weight of weights) cumulative.push((sum += weight / total));
  return Array.from({ length }, () => {
    const draw = random();
    let [low, high] = [0, distinct - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 1) < draw) low = middle + 1;
      else high = middle;
    }
    return `k${low}`;
  });
}
