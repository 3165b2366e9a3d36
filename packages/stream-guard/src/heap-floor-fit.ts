import type { FloorBlock } from "./heap-floor-blocks.ts";
import { findSteps, withoutSteps } from "./heap-floor-steps.ts";
import type { Step } from "./heap-floor-steps.ts";
import { mean, robustSigma, weightedMedian } from "./robust-statistics.ts";

const HOUR_MS = 3_600_000;
/** Distance, in blocks, of the differences from which the bytes per unit of load are first guessed. */
const LAGS: readonly number[] = [1, 2];
/** Residuals beyond so many deviations are drawn in. */
const OUTLIER_SIGMAS = 2.5;
const MAX_AUTOCORRELATION = 0.95;

export interface FloorFit {
  readonly bytesPerHour: number;
  /** Standard error of `bytesPerHour`, with the residuals' autocorrelation and the load's collinearity in it. */
  readonly standardError: number;
  /** Growth over the later half of the window. */
  readonly lateBytesPerHour: number;
  readonly lateStandardError: number;
  readonly bytesPerLoad: number;
  readonly steps: readonly Step[];
  readonly residualBytes: number;
}

type Regression = Omit<FloorFit, "steps">;

/**
 * How fast the floor grows at equal load and between steps: least squares of the floor on time and load
 * after the level shifts are taken out. The load's coefficient is guessed first by least absolute
 * deviations of differences, which neither a trend nor a step can move; the fit that uses the guess and the
 * one that finds time and load together are both made, and the more cautious one counts: where load and time
 * run together, neither is to be trusted alone. The standard error is widened by
 * (1 + r) / (1 - r), r being the residuals' first autocorrelation corrected for the fit's own bias
 * (Bayley and Hammersley 1946; Marriott and Pope 1954).
 */
export function fitFloor(
  blocks: readonly FloorBlock[],
  { maxSteps, sigmas }: { readonly maxSteps: number; readonly sigmas: number },
): FloorFit {
  const start = blocks[0]?.atMs ?? 0;
  const hours = blocks.map(({ atMs }) => (atMs - start) / HOUR_MS);
  const floor = blocks.map(({ usedBytes }) => usedBytes);
  const load = blocks.map((block) => block.load);
  const guess = bytesPerLoad(floor, load);
  const steps = findSteps(withoutLoad(floor, load, guess), maxSteps);
  const level = withoutSteps(floor, steps);
  const joint = regress(hours, load, level);
  const none = load.map(() => 0);
  const given = regress(hours, none, withoutLoad(level, load, guess));
  const cautious =
    lower(joint, sigmas) < lower(given, sigmas) ? joint : { ...given, bytesPerLoad: guess };
  return { ...cautious, steps };
}

function lower({ bytesPerHour, standardError }: Regression, sigmas: number): number {
  return bytesPerHour - sigmas * standardError;
}

function withoutLoad(
  floor: readonly number[],
  load: readonly number[],
  bytesEach: number,
): readonly number[] {
  return floor.map((bytes, index) => bytes - bytesEach * (load[index] ?? 0));
}

function bytesPerLoad(floor: readonly number[], load: readonly number[]): number {
  const pairs = LAGS.flatMap((lag) =>
    load.slice(lag).map((value, index) => {
      const change = value - (load[index] ?? 0);
      const growth = (floor[index + lag] ?? 0) - (floor[index] ?? 0);
      return { value: growth / change, weight: Math.abs(change) };
    }),
  );
  return Math.max(0, weightedMedian(pairs));
}

/** Least squares, and once more after what stands out was drawn in (Huber 1964): a collection that missed its floor. */
function regress(
  hours: readonly number[],
  load: readonly number[],
  level: readonly number[],
): Regression {
  const first = leastSquares(hours, load, level);
  const limit = OUTLIER_SIGMAS * robustSigma(first.residuals, 0);
  const drawnIn = level.map((bytes, index) => {
    const residual = first.residuals[index] ?? 0;
    return bytes - residual + Math.min(limit, Math.max(-limit, residual));
  });
  return summary(leastSquares(hours, load, drawnIn));
}

interface Line {
  readonly time: readonly number[];
  /** Squares of the time that load does not explain. */
  readonly spread: number;
  readonly slope: number;
  readonly coefficient: number;
  readonly residuals: readonly number[];
}

/** Frisch-Waugh: time and floor are both cleaned of the load, then one regressed on the other. */
function leastSquares(
  hours: readonly number[],
  load: readonly number[],
  level: readonly number[],
): Line {
  const time = centred(hours);
  const x = centred(load);
  const y = centred(level);
  const xx = dot(x, x);
  const timeOnLoad = xx > 0 ? dot(x, time) / xx : 0;
  const freeTime = time.map((value, index) => value - timeOnLoad * (x[index] ?? 0));
  const spread = dot(freeTime, freeTime);
  const slope = spread > 0 ? dot(freeTime, y) / spread : 0;
  const rest = y.map((value, index) => value - slope * (time[index] ?? 0));
  const coefficient = xx > 0 ? dot(x, rest) / xx : 0;
  const residuals = rest.map((value, index) => value - coefficient * (x[index] ?? 0));
  return { time, spread, slope, coefficient, residuals };
}

function summary({ time, spread, slope, coefficient, residuals }: Line): Regression {
  const variance = dot(residuals, residuals) / Math.max(1, residuals.length - 3);
  const r = autocorrelation(residuals);
  const standardError =
    spread > 0 ? Math.sqrt(((variance / spread) * (1 + r)) / (1 - r)) : Number.POSITIVE_INFINITY;
  const late = residuals.length >> 1;
  const lateTime = centred(time.slice(late));
  return {
    bytesPerHour: slope,
    standardError,
    lateBytesPerHour: slope + trend(time.slice(late), residuals.slice(late)),
    lateStandardError: standardError * Math.sqrt(dot(time, time) / dot(lateTime, lateTime)),
    bytesPerLoad: coefficient,
    residualBytes: Math.sqrt(variance),
  };
}

function autocorrelation(residuals: readonly number[]): number {
  const raw = dot(residuals.slice(1), residuals.slice(0, -1)) / dot(residuals, residuals);
  if (!Number.isFinite(raw)) return 0;
  const corrected = raw + (2 + 4 * raw) / residuals.length;
  return Math.min(MAX_AUTOCORRELATION, Math.max(0, corrected));
}

function trend(time: readonly number[], values: readonly number[]): number {
  const t = centred(time);
  const spread = dot(t, t);
  return spread > 0 ? dot(t, values) / spread : 0;
}

function centred(values: readonly number[]): readonly number[] {
  const middle = mean(values);
  return values.map((value) => value - middle);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
