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
      do: fc.constantFrom("add", "add", "add", "touch", "remove"),
      key: fc.nat({ max: 30 }),
      bytes: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
        const live = new Map<number, Entry>();
        const tier = new MemoryTier({
          maxEntries: 10,
          maxBytes: 100,
          isDead: () => false,
          evicted: (entry) => live.delete(Number(entry.key)),
        });
        for (const { do: action, key, bytes } of steps) {
          const present = live.get(key);
          if (action === "touch" && present !== undefined)
            present.freq = Math.min(3, present.freq + 1);
          if (action !== "touch" && present !== undefined) {
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
});

function tierOf(maxEntries: number, evicted: string[]): MemoryTier {
  return new MemoryTier({
    maxEntries,
    maxBytes: Infinity,
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

function zipfKeys(length: number, distinct: number): readonly string[] {
  const weights = Array.from({ length: distinct }, (_, rank) => 1 / (rank + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let state = 42;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
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
