export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom. */
const STUDENT_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
  2.131, 2.12, 2.11, 2.101, 2.093,
];

/** Geometric mean of ratios that were measured independently, and its 95 % confidence interval. */
export function ratioInterval(ratios: readonly number[]): Interval {
  const logs = ratios.map((ratio) => Math.log(ratio));
  const mean = logs.reduce((total, log) => total + log, 0) / logs.length;
  const squares = logs.reduce((total, log) => total + (log - mean) ** 2, 0);
  const freedom = logs.length - 1;
  const margin =
    (STUDENT_95[freedom - 1] ?? Number.POSITIVE_INFINITY) *
    Math.sqrt(squares / freedom / logs.length);
  return { mean: Math.exp(mean), low: Math.exp(mean - margin), high: Math.exp(mean + margin) };
}

/** The middle value, or halfway between the two of them. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
