import { findSteps } from "../../src/heap-floor-steps.ts";
import type { Step } from "../../src/heap-floor-steps.ts";
import { segments, slopeOf } from "./slope.ts";
import type { Point, Slope } from "./slope.ts";

/** Of one-time steps that a run may have, and of their bytes together: what recurs comes more often. */
export const MAX_FORGIVEN = 2;
export const MAX_FORGIVEN_BYTES: number = 256 * 1024;
/** With more steps, or fewer points for each, a line through all points does. */
const MAX_STEPS = 32;
const STEP_POINTS = 16;
/** Two-sided 99 % quantile of the normal distribution. */
const NORMAL_99 = 2.5758;
/** Parts of the bound by which a step half-way must move the slope: to be worth a level of its own, and to count. */
const NOTICEABLE = 1 / 16;
const COUNTS = 1 / 4;
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
  const found = breaksOf(points, boundBytes);
  const noticeable = sized(points, found).filter(
    ({ size }) => Math.abs(size) >= stepBytes(NOTICEABLE, points, boundBytes),
  );
  const breaks = noticeable.map(({ at }) => at);
  const between = slopeOf(points, breaks);
  const steps = sized(points, breaks);
  const model = modelOf(steps, points.length);
  if (model === "line") return { slope: slopeOf(points), steps, model };
  if (model === "levels") return { slope: between, steps, model };
  const count = steps.length;
  const perUnit = sumOf(steps) / count / lengthOf(points);
  const slope: Slope = {
    value: between.value + count * perUnit,
    low: between.low + byar(count, -NORMAL_99) * perUnit,
    high: between.high + byar(count + 1, NORMAL_99) * perUnit,
    correlation: between.correlation,
  };
  return { slope, steps, model };
}

function modelOf(steps: readonly Step[], points: number): Trend["model"] {
  if (steps.length === 0 || steps.length > Math.min(MAX_STEPS - 1, points / STEP_POINTS))
    return "line";
  const few = steps.length <= MAX_FORGIVEN;
  if (few && sumOf(steps) <= MAX_FORGIVEN_BYTES) return "levels";
  return few || steps.some(({ size }) => size < 0) ? "line" : "staircase";
}

/** Of the level shifts those that count, or, if these are few, the largest ones: what is left is noise to the slope. */
function breaksOf(points: readonly Point[], boundBytes: number): readonly number[] {
  const all = shifts(points);
  const atLeast = (part: number): readonly Step[] =>
    all.filter(({ size }) => Math.abs(size) >= stepBytes(part, points, boundBytes));
  const counting = atLeast(COUNTS);
  const few = counting.length <= MAX_FORGIVEN;
  const chosen = few ? atLeast(NOTICEABLE).slice(0, MAX_FORGIVEN) : counting;
  return chosen.map(({ at }) => at).toSorted((a, b) => a - b);
}

/** Largest first. A correction of a step found before is found at its place again. */
function shifts(points: readonly Point[]): readonly Step[] {
  const values = points.map(({ y }) => y);
  const sizes = new Map<number, number>();
  for (const { at, size } of findSteps(values, MAX_STEPS))
    sizes.set(at, (sizes.get(at) ?? 0) + size);
  return [...sizes]
    .map(([at, size]) => ({ at, size }))
    .toSorted((a, b) => Math.abs(b.size) - Math.abs(a.size));
}

/** What each break raises the level by, when a slope is fitted to all levels at once. */
function sized(points: readonly Point[], breaks: readonly number[]): readonly Step[] {
  const { value: slope } = slopeOf(points, breaks);
  const levels = segments(points, breaks).map(
    (level) => level.reduce((sum, { x, y }) => sum + y - slope * x, 0) / level.length,
  );
  return breaks.map((at, index) => ({
    at,
    size: (levels[index + 1] ?? 0) - (levels[index] ?? 0),
  }));
}

/** Of a step that moves the slope by a part of the bound. */
function stepBytes(part: number, points: readonly Point[], boundBytes: number): number {
  return (part * boundBytes * lengthOf(points)) / TILT;
}

function sumOf(steps: readonly Step[]): number {
  return steps.reduce((sum, { size }) => sum + Math.abs(size), 0);
}

function lengthOf(points: readonly Point[]): number {
  return (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
}

/** A bound of the mean of a Poisson distribution of which `count` (for the upper bound one more) came. */
function byar(count: number, z: number): number {
  return count * (1 - 1 / (9 * count) + z / (3 * Math.sqrt(count))) ** 3;
}
