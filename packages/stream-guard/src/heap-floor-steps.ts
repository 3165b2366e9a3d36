import { median, robustSigma } from "./robust-statistics.ts";

/** Blocks on each side of a gap whose medians are compared. */
const SIDE = 4;
/** The least number of blocks on a side. */
const EDGE = 2;
/** How far from the largest shift the step may be. */
const REACH = 2;
/** Deviation of shifts, at most, in deviations of neighbours' differences. */
const NOISE_FACTOR = 1.5;
/** Part of a step's size that is between the blocks on both sides of it. */
const SHARP_RATIO = 0.6;
/** A shift beyond so many deviations of all shifts is a step. */
const STEP_SIGMAS = 4;

export interface Step {
  /** Index of the first value after the step. */
  readonly at: number;
  readonly size: number;
}

/**
 * The largest level shifts of a series, at most `maxSteps`, in a series that may also have a trend: each
 * gap's shift is the difference of the medians on both sides, and a trend shifts all gaps alike, so that
 * only what stands out from the median shift is a step. Removed one by one, largest first, as in binary
 * segmentation (Scott and Knott 1974).
 */
export function findSteps(values: readonly number[], maxSteps: number): readonly Step[] {
  const steps: Step[] = [];
  let rest = values;
  while (steps.length < maxSteps) {
    const step = largestStep(rest);
    if (step === undefined) break;
    steps.push(step);
    rest = withoutSteps(rest, [step]);
  }
  return steps;
}

/** The values as if the steps had not happened. */
export function withoutSteps(values: readonly number[], steps: readonly Step[]): readonly number[] {
  return values.map((value, index) =>
    steps.reduce((rest, { at, size }) => (index >= at ? rest - size : rest), value),
  );
}

function largestStep(values: readonly number[]): Step | undefined {
  const shifts: number[] = [];
  for (let at = EDGE; at + EDGE <= values.length; at += 1) shifts.push(shiftAt(values, at));
  const usual = median(shifts);
  const limit = STEP_SIGMAS * Math.min(robustSigma(shifts, usual), NOISE_FACTOR * noise(values));
  let largest: Step | undefined;
  for (const [index, shift] of shifts.entries()) {
    const size = shift - usual;
    if (Math.abs(size) <= Math.max(limit, Math.abs(largest?.size ?? 0))) continue;
    const step = placed(values, { at: index + EDGE, size });
    if (isSharp(values, step, usual / SIDE)) largest = step;
  }
  return largest;
}

/** A step happens between two blocks. Where a ramp ends, medians shift otherwise than usual too, but little by little. */
function isSharp(values: readonly number[], { at, size }: Step, usual: number): boolean {
  const jump = (values[at] ?? 0) - (values[at - 1] ?? 0) - usual;
  return jump / size >= SHARP_RATIO;
}

function shiftAt(values: readonly number[], at: number): number {
  return median(values.slice(at, at + SIDE)) - median(values.slice(Math.max(0, at - SIDE), at));
}

/** Medians know a step's size better than its place: it is where both sides are the most even. */
function placed(values: readonly number[], { at, size }: Step): Step {
  const from = Math.max(0, at - SIDE);
  const near = values.slice(from, at + SIDE);
  const unevenness = (gap: number): number =>
    deviation(near.slice(0, gap)) + deviation(near.slice(gap));
  let best = at - from;
  for (
    let gap = Math.max(1, best - REACH);
    gap <= Math.min(near.length - 1, best + REACH);
    gap += 1
  )
    if (unevenness(gap) < unevenness(best)) best = gap;
  return { at: from + best, size };
}

function deviation(values: readonly number[]): number {
  const middle = median(values);
  return values.reduce((sum, value) => sum + Math.abs(value - middle), 0);
}

function noise(values: readonly number[]): number {
  return robustSigma(values.slice(1).map((value, index) => value - (values[index] ?? 0)));
}
