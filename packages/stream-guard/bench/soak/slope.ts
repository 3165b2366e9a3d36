export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Slope {
  readonly value: number;
  /** Bounds of the two-sided 99 % confidence interval. */
  readonly low: number;
  readonly high: number;
  /** Correlation of neighbouring residuals, as corrected for what fitting a line takes from it. */
  readonly correlation: number;
}

/** Two-sided 99 % quantile of the normal distribution. */
const NORMAL_99 = 2.5758;
/** Errors this persistent cannot be told from a random walk, for which no slope can be stated. */
const MAX_CORRELATION = 0.97;
/** A correlation of so many standard errors may be that of something slow beneath noise. */
const NOTICEABLE = 2;
/** The kernel looks at most this part of the series back. */
const LAG_PART = 8;
export const MIN_POINTS = 20;

/**
 * Least-squares slope over evenly spaced points whose errors are correlated. The error of a trend's slope
 * depends on their long-run variance alone (Grenander and Rosenblatt, Statistical Analysis of Stationary Time
 * Series, 1957), which is estimated after prewhitening (Andrews and Monahan, Econometrica 60, 1992) with Bartlett
 * kernels (Newey and West, Econometrica 55, 1987); of their widths the one that says the most is taken. The interval has
 * no bounds when the errors look like a random walk.
 *
 * `breaks` are indices of points from which the level is another and the slope the same (a partial structural
 * change: Bai and Perron, Econometrica 66, 1998).
 *
 * @throws RangeError for fewer than 20 points
 */
export function slopeOf(points: readonly Point[], breaks: readonly number[] = []): Slope {
  if (points.length < MIN_POINTS)
    throw new RangeError(`a slope needs at least ${MIN_POINTS} points, received ${points.length}`);
  const levels = segments(points, breaks);
  const x = levels.flatMap((level) => centred(level.map((point) => point.x)));
  const y = levels.flatMap((level) => centred(level.map((point) => point.y)));
  const spread = sum(x.map((each) => each ** 2));
  const value = sum(x.map((each, index) => each * (y[index] ?? 0))) / spread;
  const residuals = y.map((each, index) => each - value * (x[index] ?? 0));
  const correlation = correlationOf(residuals, levels.length);
  const variance = longRunVariance(residuals, correlation, levels.length);
  const error = Math.sqrt(variance / spread);
  const independent = (points.length * (1 - correlation)) / (1 + correlation) - breaks.length;
  const walk = correlation >= MAX_CORRELATION;
  const margin = walk ? Number.POSITIVE_INFINITY : quantile(independent) * error;
  return { value, low: value - margin, high: value + margin, correlation };
}

/** The points between breaks, in order. */
export function segments(
  points: readonly Point[],
  breaks: readonly number[],
): readonly (readonly Point[])[] {
  const starts = [0, ...breaks.toSorted((a, b) => a - b)];
  return starts.map((start, index) => points.slice(start, starts[index + 1]));
}

/**
 * From one point to the next: as it is, or as it fades over two more points, if that is slower (noise hides
 * slow changes from the first). The bias that a fitted slope, (1 + r) / n, and each level, (1 + 3r) / n, leave in it is taken out.
 */
function correlationOf(residuals: readonly number[], levels: number): number {
  const n = residuals.length;
  const power = covariance(residuals, 0);
  if (power === 0) return 0;
  const first = covariance(residuals, 1) / power;
  const fading = first > NOTICEABLE / Math.sqrt(n) ? covariance(residuals, 3) / power / first : 0;
  const raw = Math.max(first, Math.sqrt(Math.max(0, fading)));
  return Math.max(
    -MAX_CORRELATION,
    Math.min(MAX_CORRELATION, raw + (levels * (1 + 3 * raw) + 1 + raw) / n),
  );
}

function longRunVariance(
  residuals: readonly number[],
  correlation: number,
  levels: number,
): number {
  const n = residuals.length;
  const white = residuals
    .slice(1)
    .map((value, index) => value - correlation * (residuals[index] ?? 0));
  const covariances = Array.from({ length: Math.floor(n / LAG_PART) + 1 }, (_, lag) =>
    covariance(white, lag),
  );
  const variances = covariances.map((_, lags) => bartlett(covariances, lags));
  return Math.max(...variances) / (n - 2 - levels) / (1 - correlation) ** 2;
}

function bartlett(covariances: readonly number[], lags: number): number {
  const weighted = covariances.map((value, lag) => 2 * Math.max(0, 1 - lag / (lags + 1)) * value);
  return sum(weighted) - (covariances[0] ?? 0);
}

function covariance(values: readonly number[], lag: number): number {
  let total = 0;
  for (let index = lag; index < values.length; index += 1)
    total += (values[index] ?? 0) * (values[index - lag] ?? 0);
  return total;
}

/** Of Student's t, by the first terms of Cornish and Fisher's expansion, for the points and the two parameters. */
function quantile(points: number): number {
  const freedom = Math.max(3, points - 3);
  const z = NORMAL_99;
  return (
    z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2)
  );
}

function centred(values: readonly number[]): readonly number[] {
  const middle = mean(values);
  return values.map((value) => value - middle);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
