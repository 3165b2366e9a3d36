import { describe, expect, test } from "vitest";
import { seededRandom } from "../bench/soak/random.ts";
import { slopeOf } from "../bench/soak/slope.ts";
import type { Point } from "../bench/soak/slope.ts";

const SEEDS = 400;
const SLOPE = 0.03;

/** Makes the errors of one series, given normal numbers and even ones in [0, 1). */
type Errors = (normal: () => number, even: () => number) => () => number;

function autoregressive(correlation: number): Errors {
  return (normal) => {
    let value = normal() / Math.sqrt(1 - correlation ** 2);
    return () => (value = correlation * value + normal());
  };
}

const ERRORS: Readonly<Record<string, Errors>> = {
  "independent errors": (normal) => normal,
  "errors with heavy tails (Student's t, 3 degrees of freedom)": (normal) => () =>
    normal() / Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3),
  "errors that last (autoregressive, 0.5)": autoregressive(0.5),
  "errors that last long (autoregressive, 0.9)": autoregressive(0.9),
  "levels that change in steps, beneath noise": (normal, even) => {
    let level = 0;
    return () => {
      if (even() < 0.05) level = 3 * normal();
      return level + normal();
    };
  },
  "a saw tooth, beneath noise": (normal, even) => {
    let step = Math.floor(17 * even());
    return () => {
      step = (step + 1) % 17;
      return step / 3 + normal();
    };
  },
  "noise that grows and shrinks with the load": (normal) => {
    let step = 0;
    return () => {
      step += 1;
      return normal() * (1 + 3 * Math.abs(Math.sin(step / 100)));
    };
  },
};

function randomWalk(normal: () => number): () => number {
  let value = 0;
  return () => (value += normal());
}

describe("the 99 % interval of a slope", () => {
  // For a true 99 %, fewer than 390 of 400 are seen in 3 of 1000 tries.
  test.each(Object.keys(ERRORS))(
    "holds the true slope in at least 390 of 400 series: %s",
    (name) => {
      expect(covered(600, ERRORS[name]!)).toBeGreaterThanOrEqual(390);
    },
  );

  test("holds it nearly as often when the series is short", () => {
    expect(covered(60, ERRORS["independent errors"]!)).toBeGreaterThanOrEqual(390);
    expect(covered(60, autoregressive(0.8))).toBeGreaterThanOrEqual(384);
  });

  test("as a textbook would compute it, for independent errors, would not", () => {
    let held = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const points = series(600, seed, autoregressive(0.9));
      if (Math.abs(slopeOf(points).value - SLOPE) <= naiveMargin(points)) held += 1;
    }
    expect(held).toBeLessThan(300);
  });

  test("is narrow enough to tell a planted leak from none", () => {
    for (const correlation of [0, 0.5]) {
      for (let seed = 1; seed <= 50; seed += 1) {
        const points = series(600, seed, autoregressive(correlation), 2000, 32);
        const { low, high } = slopeOf(points);
        expect(low).toBeGreaterThan(24);
        expect(high).toBeLessThan(40);
      }
    }
  });

  test("has no bounds for a random walk, which has no slope to speak of", () => {
    let bounded = 0;
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { low, high } = slopeOf(series(600, seed, randomWalk));
      if (Number.isFinite(low) && (low > SLOPE || high < SLOPE)) bounded += 1;
    }
    expect(bounded).toBeLessThanOrEqual(10);
  });
});

describe("the slope", () => {
  test("of a line is the line's, exactly", () => {
    const points = Array.from({ length: 50 }, (_, index) => ({ x: index * 16, y: 5 + index * 48 }));
    const { value, low, high } = slopeOf(points);
    expect([value, low, high]).toEqual([3, 3, 3]);
  });

  test("of a constant is 0", () => {
    const points = Array.from({ length: 50 }, (_, index) => ({ x: index, y: 7 }));
    expect(slopeOf(points)).toMatchObject({ value: 0, low: 0, high: 0, correlation: 0 });
  });

  test("needs 20 points", () => {
    expect(() => slopeOf([{ x: 0, y: 0 }])).toThrow(RangeError);
  });
});

function covered(points: number, errors: Errors): number {
  let held = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { low, high } = slopeOf(series(points, seed, errors));
    if (low <= SLOPE && SLOPE <= high) held += 1;
  }
  return held;
}

function series(count: number, seed: number, errors: Errors, scale = 1, slope = SLOPE): Point[] {
  const even = seededRandom(seed * 7919);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - even())) * Math.cos(2 * Math.PI * even());
  const next = errors(normal, even);
  return Array.from({ length: count }, (_, index) => {
    const x = index * 16;
    return { x, y: 1000 + slope * x + scale * next() };
  });
}

/** 99 %, as if each error were independent of the one before. */
function naiveMargin(points: readonly Point[]): number {
  const { value } = slopeOf(points);
  const n = points.length;
  const meanX = points.reduce((total, { x }) => total + x, 0) / n;
  const meanY = points.reduce((total, { y }) => total + y, 0) / n;
  const spread = points.reduce((total, { x }) => total + (x - meanX) ** 2, 0);
  const squares = points.reduce(
    (total, { x, y }) => total + (y - meanY - value * (x - meanX)) ** 2,
    0,
  );
  return 2.585 * Math.sqrt(squares / (n - 2) / spread);
}
