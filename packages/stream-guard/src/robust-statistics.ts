/** Turns a median absolute deviation into the standard deviation of a normal distribution. */
const MAD_TO_SIGMA = 1.4826;

/** NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Standard deviation by the median absolute deviation: half of the values may be anything. */
export function robustSigma(values: readonly number[], centre: number = median(values)): number {
  return MAD_TO_SIGMA * median(values.map((value) => Math.abs(value - centre)));
}

/** The value at which half of the weight is reached; 0 when there is no weight. */
export function weightedMedian(
  pairs: readonly { readonly value: number; readonly weight: number }[],
): number {
  const sorted = pairs.filter(({ weight }) => weight > 0).toSorted((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let reached = 0;
  for (const { value, weight } of sorted) {
    reached += weight;
    if (reached >= half) return value;
  }
  return 0;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
