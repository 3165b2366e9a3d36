import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bucketQuantile } from "../src/alert-quantile.ts";
import { SeriesWindow } from "../src/alert-window.ts";

describe("alerts: windows of samples", () => {
  test("what is kept is bounded, however often it is read", () => {
    const window = new SeriesWindow(100_000, 50);
    for (let timeMs = 0; timeMs < 1_000_000; timeMs += 10) {
      window.prune(timeMs);
      window.add(timeMs, [timeMs]);
    }
    expect(window.count()).toBeGreaterThan(9_700);
    expect(window.count()).toBeLessThanOrEqual(10_000);
    expect(window.size).toBeLessThanOrEqual(52);
  });

  test("thinned out, a window has the same increase and slope, restarts and all", () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 300, maxLength: 600 }),
      fc.integer({ min: 10, max: 60 }),
      (gains, maxPoints) => {
        const full = new SeriesWindow(200_000, 10_000);
        const thin = new SeriesWindow(200_000, maxPoints);
        let total = 0;
        for (const [index, gain] of gains.entries()) {
          // A restart now and then, which a thinned-out window may not miss.
          total = gain === 50 ? 0 : total + gain;
          for (const window of [full, thin]) {
            window.prune(index * 1000);
            window.add(index * 1000, [total]);
          }
        }
        const timeMs = (gains.length - 1) * 1000;
        const exact = full.increase(timeMs)?.[0] ?? NaN;
        const close = thin.increase(timeMs)?.[0] ?? NaN;
        // Both miss at most one stride at the start.
        expect(Math.abs(close - exact)).toBeLessThanOrEqual(50 * (200 / maxPoints + 2));
      },
    );
    fc.assert(property, { numRuns: 100 });
  });

  test("buckets that change are a new series", () => {
    const window = new SeriesWindow(10_000, 10);
    window.add(1000, [1, 2]);
    window.add(2000, [3, 4]);
    window.add(3000, [3, 4, 5]);
    expect(window.increase(3000)).toBeUndefined();
    window.add(4000, [4, 5, 6]);
    expect(window.increase(4000)).toHaveLength(3);
  });
});

describe("alerts: quantiles of buckets", () => {
  const bounds = [0.1, 1, Infinity];

  test.each([
    ["within a bucket by proportion", 0.5, bounds, [50, 100, 100], 0.1],
    ["beyond the last bound it is the last bound", 0.99, bounds, [0, 0, 10], 1],
    ["nothing observed", 0.5, bounds, [0, 0, 0], NaN],
    ["no last bucket", 0.5, [0.1, 1], [1, 2], NaN],
    ["sums that seem to fall", 0.5, bounds, [50, 40, 80], 0.08],
    ["a first bound below 0", 0.1, [-1, 1, Infinity], [5, 10, 10], -1],
  ] as const)("%s", (_, q, upper, counts, expected) => {
    const found = bucketQuantile(q, upper, counts);
    expect(Number(found.toPrecision(12))).toBe(expected);
  });
});
