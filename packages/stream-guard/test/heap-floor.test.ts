import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { heldOut } from "../bench/leak-study/held-out.ts";
import { heapFloor } from "../bench/leak-study/rivals.ts";
import type { Rival } from "../bench/leak-study/rivals.ts";
import { cells, wilson } from "../bench/leak-study/study.ts";
import type { Cell } from "../bench/leak-study/study.ts";
import { simulate } from "../bench/leak-study/world.ts";
import { FloorBlocks } from "../src/heap-floor-blocks.ts";
import { fitFloor } from "../src/heap-floor-fit.ts";
import { findSteps, withoutSteps } from "../src/heap-floor-steps.ts";
import { FLOOR_RULE, HeapFloor } from "../src/heap-floor.ts";
import type { HeapFloorRule } from "../src/heap-floor.ts";
import { median, robustSigma, weightedMedian } from "../src/robust-statistics.ts";

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;
const STUDY_MS = 120_000;

/** Fixed seeds: the same runs every time. The whole study is `npm run leak-study`. */
function share(environment: string, leakMbPerHour: number, runs: number, rival?: Rival): Cell {
  return cells("held-out", environment, leakMbPerHour, runs, [rival ?? heapFloor()])[0]!;
}

function stepped(leakMbPerHour: number, rule: Partial<HeapFloorRule>): Cell {
  return share("steps, several", leakMbPerHour, 40, heapFloor(rule));
}

describe("a small study on the held-out worlds", () => {
  test.each(Object.keys(heldOut))(
    "%s: hardly a clean run of eight hours is blamed, and 5 MB/h are found",
    (environment) => {
      expect(share(environment, 0, 40).alarmed).toBeLessThanOrEqual(1);
      const leaks = share(environment, 5, 20);
      expect(leaks.alarmed).toBe(20);
      expect(leaks.within4h).toBeGreaterThanOrEqual(16);
    },
    STUDY_MS,
  );

  test("a run is the same for the same seed", () => {
    const [first, again, other] = [7, 7, 8].map((seed) => simulate(heldOut["together"]!, 1, seed));
    expect(first).toEqual(again);
    expect(first).not.toEqual(other);
  });
});

function withoutLoad(): Rival {
  return {
    name: "no load",
    start: () => {
      const floor = new HeapFloor();
      return (sample) => floor.add({ ...sample, load: 0 }) !== undefined;
    },
  };
}

describe("each part of the rule is needed", () => {
  const parts: readonly (readonly [string, string, Rival])[] = [
    [
      "the warm-up, the later half and the confidence in the growth",
      "warm-up",
      heapFloor({ warmupMs: 0, lateRatio: 0, lateSigmas: -100, minSpanMs: HOUR_MS, sigmas: 0 }),
    ],
    [
      "the confidence in the growth, the least growth and more than one look",
      "fragmentation",
      heapFloor({ sigmas: 0, lateSigmas: 0, minGrowthBytes: 0, looks: 1 }),
    ],
    ["the load", "load, daily", withoutLoad()],
  ];

  test(
    "without the steps, clean runs are blamed and leaks found late (steps, several)",
    () => {
      const loose = { sigmas: 1, lateSigmas: -100, lateRatio: 0 };
      expect(stepped(0, { ...loose, maxSteps: 0 }).alarmed).toBeGreaterThan(15);
      expect(stepped(0, loose).alarmed).toBeLessThan(5);
      expect(stepped(5, { maxSteps: 0 }).within4h).toBeLessThan(30);
      expect(stepped(5, {}).within4h).toBeGreaterThan(35);
    },
    STUDY_MS,
  );

  test.each(parts)(
    "without %s, clean runs are blamed (%s)",
    (_, environment, rival) => {
      expect(share(environment, 0, 40, rival).alarmed).toBeGreaterThan(4);
    },
    STUDY_MS,
  );
});

const at = (
  count: number,
  bytes: (index: number) => number,
  load: (index: number) => number = () => 0,
) =>
  Array.from({ length: count }, (_, index) => ({
    atMs: index * FLOOR_RULE.blockMs,
    usedBytes: bytes(index),
    load: load(index),
  }));
const ripple = (index: number) => ((index * 7919) % 13) * 0.02 * MIB;

const mbPerHour = (blocks: ReturnType<typeof at>) =>
  fitFloor(blocks, FLOOR_RULE).bytesPerHour / MIB;

const rippledLoad = (index: number): number => 100 + index + ((index * 31) % 17) * 5;

describe("the fit", () => {
  test("it finds a known growth beside load and steps", () => {
    const blocks = at(
      60,
      (index) =>
        50 * MIB +
        (index / 12) * 3 * MIB +
        rippledLoad(index) * 50_000 +
        (index >= 25 ? 30 * MIB : 0) +
        ripple(index),
      rippledLoad,
    );
    expect(mbPerHour(blocks)).toBeGreaterThan(2.5);
    expect(mbPerHour(blocks)).toBeLessThan(3.5);
    const [largest] = fitFloor(blocks, FLOOR_RULE).steps;
    expect(largest?.at).toBe(25);
    expect((largest?.size ?? 0) / MIB).toBeCloseTo(30, 0);
  });

  test("steps alone, up or down, are no growth; a ramp that ends is no step", () => {
    const steps = at(
      60,
      (index) => (index >= 20 ? 20 * MIB : 0) - (index >= 41 ? 8 * MIB : 0) + ripple(index),
    );
    expect(Math.abs(mbPerHour(steps))).toBeLessThan(0.3);
    const ramp = at(60, (index) => Math.min(index, 30) * 0.5 * MIB + ripple(index)).map(
      ({ usedBytes }) => usedBytes,
    );
    expect(findSteps(ramp, 4)).toEqual([]);
  });

  test("a few collections that missed the floor change little", () => {
    const blocks = at(
      48,
      (index) => index * 0.25 * MIB + ripple(index) + (index % 11 === 5 ? 25 * MIB : 0),
    );
    expect(mbPerHour(blocks)).toBeGreaterThan(2.6);
    expect(mbPerHour(blocks)).toBeLessThan(3.4);
  });

  test("it says a finite number, whatever it is given", () => {
    const value = fc.double({ min: -1e12, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 96 }), (pairs) => {
        const blocks = pairs.map(([usedBytes, load], index) => ({ atMs: index, usedBytes, load }));
        const { bytesPerHour, bytesPerLoad } = fitFloor(blocks, FLOOR_RULE);
        return Number.isFinite(bytesPerHour) && Number.isFinite(bytesPerLoad);
      }),
      { numRuns: 300 },
    );
  });

  test("the floor does not depend on where zero is", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e10 }), fc.integer(), (offset, seed) => {
        const samples = simulate(heldOut["noise"]!, 5, seed);
        const alarm = (add: number) => {
          const floor = new HeapFloor();
          return samples.findIndex(
            (sample) => floor.add({ ...sample, usedBytes: sample.usedBytes + add }) !== undefined,
          );
        };
        return alarm(0) === alarm(offset);
      }),
      { numRuns: 10 },
    );
  });
});

describe("its parts", () => {
  test("a block is its lowest sample, and the latest blocks are kept", () => {
    const blocks = new FloorBlocks(10, 2);
    const add = (atMs: number, usedBytes: number) => blocks.add({ atMs, usedBytes, load: 0 });
    expect([add(0, 5), add(5, 3), add(9, 4), add(31, 7), add(40, 1), add(55, 1)]).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(blocks.complete.map(({ atMs, usedBytes }) => [atMs, usedBytes])).toEqual([
      [31, 7],
      [40, 1],
    ]);
  });

  test("medians", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
    expect(robustSigma([1, 2, 3, 4, 1000])).toBeCloseTo(1.4826);
    expect(weightedMedian([])).toBe(0);
    expect(
      weightedMedian([
        { value: 1, weight: 1 },
        { value: 2, weight: 5 },
        { value: 9, weight: 1 },
        { value: 0, weight: 0 },
      ]),
    ).toBe(2);
  });

  test("removing steps leaves the level before them", () => {
    expect(withoutSteps([1, 1, 5, 5], [{ at: 2, size: 4 }])).toEqual([1, 1, 1, 1]);
  });

  test("Wilson's interval is the published one", () => {
    const { low, high } = wilson(10, 100);
    expect(low).toBeCloseTo(0.0552, 3);
    expect(high).toBeCloseTo(0.1744, 3);
    expect(wilson(0, 400)).toEqual({ low: 0, high: expect.closeTo(0.0095, 4) as number });
  });
});
