import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ending, Step, Stretch } from "./local-world.ts";
import { World, keys, tags } from "./local-world.ts";

const key = fc.constantFrom(...keys);
const namespace = fc.constantFrom("", "tenant");
const tag = fc.constantFrom(...tags);
const ending = fc.constantFrom<Ending>("value", "value", "value", "nothing", "error", "answer");

function step(weight: number, name: string, fields: Record<string, fc.Arbitrary<unknown>> = {}) {
  const arbitrary = fc.record({ do: fc.constant(name), ...fields }) as fc.Arbitrary<Step>;
  return { weight, arbitrary };
}

const command: fc.Arbitrary<Step> = fc.oneof(
  step(14, "read", { key, namespace, early: fc.boolean() }),
  step(2, "many", { namespace }),
  step(2, "peek", { key, namespace }),
  step(1, "get", { key, namespace }),
  step(10, "finish", { index: fc.nat({ max: 2 }), ending }),
  step(3, "tag", { tag }),
  step(1, "write", { tag }),
  step(1, "emit", { tag }),
  step(1, "event", { tag }),
  step(1, "set", { key, namespace }),
  step(1, "delete", { key, namespace }),
  step(1, "namespace", { namespace }),
  step(1, "prefix"),
  step(1, "prefixInNamespace", { namespace }),
  step(1, "tagInNamespace", { namespace }),
  step(1, "everything"),
  step(1, "epoch"),
  step(1, "bypass", { on: fc.constantFrom(false, false, true) }),
  step(5, "flush"),
  step(4, "time", { ms: fc.integer({ min: 1, max: 700 }) }),
  // Past the ttl at once: between two invalidations there is seldom time for it.
  step(6, "time", { ms: fc.constantFrom(1_010, 1_250) }),
  step(2, "soft"),
  step(1, "timeout"),
);

const stretch: fc.Arbitrary<Stretch> = fc.record({
  staleWhileRevalidateMs: fc.constantFrom(0, 300, Infinity),
  staleIfErrorMs: fc.constantFrom(0, 600, Infinity),
  eagerRefreshRatio: fc.constantFrom(1, 0.5),
  negativeTtlMs: fc.constantFrom(0, 400),
  maxRefreshes: fc.constantFrom(1, 32),
  soft: fc.boolean(),
});

function steps(maxLength: number): fc.Arbitrary<Step[]> {
  return fc.array(command, { minLength: 5, maxLength, size: "max" });
}

describe("G1 in one process", () => {
  test("no interleaving of reads, computes and invalidations lets a read return what was invalidated before it began, or a value that is too old", async () => {
    await fc.assert(
      fc.asyncProperty(stretch, steps(60), async (stretched, sequence) => {
        const world = new World(stretched);
        for (const one of sequence) await world.step(one);
        await world.end();
      }),
      { numRuns: 2_000, timeout: 2_000 },
    );
  }, 30_000);

  test("no sequence of operations makes bookkeeping outgrow the entries and the computes under way, or loses count of a read", async () => {
    let seen = { staleHits: 0, refreshes: 0 };
    await fc.assert(
      fc.asyncProperty(stretch, steps(80), async (stretched, sequence) => {
        const world = new World(stretched);
        const { cache, timers } = world;
        for (const one of sequence) {
          await world.step(one);
          const stats = cache.stats();
          const { entries, flights, refreshes, byNamespace, byTag } = stats;
          expect(stats.tags).toBeLessThanOrEqual(2 * (entries + flights));
          expect(Object.keys(byTag)).toHaveLength(stats.tags);
          expect(stats.ghosts).toBeLessThanOrEqual(entries);
          expect(Object.keys(byNamespace).length).toBeLessThanOrEqual(2);
          expect(refreshes).toBeLessThanOrEqual(stretched.maxRefreshes);
          expect(timers.delaysMs.length).toBeLessThanOrEqual(flights + 3 * world.waiting);
          expect(stats.hits + stats.misses).toBe(world.counted);
          const sum = Object.values(byTag).reduce((total, count) => total + count.entries, 0);
          expect(sum).toBeLessThanOrEqual(2 * entries);
          seen = {
            staleHits: seen.staleHits + stats.staleHits,
            refreshes: seen.refreshes + refreshes,
          };
        }
        await world.end();
        await cache.clear();
        expect(timers.delaysMs).toEqual([]);
        expect(cache.stats()).toMatchObject({
          entries: 0,
          memoryBytes: 0,
          flights: 0,
          refreshes: 0,
          tags: 0,
          ghosts: 0,
          byTag: {},
        });
      }),
      { numRuns: 1_000 },
    );
    expect(Math.min(seen.staleHits, seen.refreshes)).toBeGreaterThan(0);
  }, 30_000);
});
