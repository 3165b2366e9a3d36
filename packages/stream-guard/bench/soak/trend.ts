import { findSteps } from "../../src/heap-floor-steps.ts";
import type { Step } from "../../src/heap-floor-steps.ts";
import { slopeOf } from "./slope.ts";
import type { Point, Slope } from "./slope.ts";

/** Of one-time steps that a run may have, and of their bytes together: what recurs comes more often. */
export const MAX_FORGIVEN = 2;
export const MAX_FORGIVEN_BYTES: number = 256 * 1024;
/** So many steps and more are dense enough for a line through all points. */
const MANY_STEPS = 32;
/** Two-sided 99 % quantile of the normal distribution. */
const NORMAL_99 = 2.5758;
/** Part of the bound by which a step half-way must move the slope to be worth a level of its own. */
const MATERIAL = 1 / 16;
/** A step of c half-way through a length of L tilts the line by so many times c / L. */
const TILT = 1.5;

/** How the heap floor grows with the sessions. */
export interface Trend {
  readonly slope: Slope;
  /** Level shifts, in their order. */
  readonly steps: readonly Step[];
  /**
   * - `line`: one line through all points
   * - `levels`: a slope between steps, which are forgiven since they do not recur
   * - `staircase`: steps that recur, counted into the slope
   */
  readonly model: "line" | "levels" | "staircase";
}

/**
 * A single level shift makes a stationary series look like a random walk (Perron, Econometrica 57, 1989), of
 * which no slope can be stated. So level shifts that would matter are searched first. At most two, of 256 KiB
 * together, are one-time events (a table of the engine that grew), and the slope is that between them. More of them,
 * all upwards, are a leak that comes in steps: a compound Poisson process, whose rate has the interval of
 * Byar (Breslow and Day, Statistical Methods in Cancer Research II, 1987, 2.3), added to the slope between them.
 * Otherwise nothing is forgiven, and a line through all points has to do.
 */
export function trendOf(points: readonly Point[], boundBytes: number): Trend {
  const steps = materialSteps(points, boundBytes);
  const breaks = steps.map(({ at }) => at);
  const bytes = steps.reduce((sum, { size }) => sum + Math.abs(size), 0);
  if (steps.length === 0 || steps.length >= MANY_STEPS)
    return { slope: slopeOf(points), steps, model: "line" };
  if (steps.length <= MAX_FORGIVEN && bytes <= MAX_FORGIVEN_BYTES)
    return { slope: slopeOf(points, breaks), steps, model: "levels" };
  if (steps.length <= MAX_FORGIVEN || steps.some(({ size }) => size < 0))
    return { slope: slopeOf(points), steps, model: "line" };
  const perUnit = bytes / steps.length / lengthOf(points);
  const between = slopeOf(points, breaks);
  const slope: Slope = {
    value: between.value + steps.length * perUnit,
    low: between.low + byar(steps.length, -NORMAL_99) * perUnit,
    high: between.high + byar(steps.length + 1, NORMAL_99) * perUnit,
    correlation: between.correlation,
  };
  return { slope, steps, model: "staircase" };
}

/** A correction of a step found before is found at its place again. */
function materialSteps(points: readonly Point[], boundBytes: number): readonly Step[] {
  const leastBytes = (MATERIAL * boundBytes * lengthOf(points)) / TILT;
  const values = points.map(({ y }) => y);
  const sizes = new Map<number, number>();
  for (const { at, size } of findSteps(values, MANY_STEPS))
    sizes.set(at, (sizes.get(at) ?? 0) + size);
  return [...sizes]
    .map(([at, size]) => ({ at, size }))
    .filter(({ size }) => Math.abs(size) >= leastBytes)
    .toSorted((a, b) => a.at - b.at);
}

function lengthOf(points: readonly Point[]): number {
  return (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
}

/** A bound of the mean of a Poisson distribution of which `count` (for the upper bound one more) came. */
function byar(count: number, z: number): number {
  return count * (1 - 1 / (9 * count) + z / (3 * Math.sqrt(count))) ** 3;
}
