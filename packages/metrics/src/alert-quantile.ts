/**
 * Quantile of a histogram whose cumulative `counts` belong to rising `bounds`, the last one infinite: linear within the bucket it
 * falls in, as `histogram_quantile` of Prometheus (promql/quantile.go). Not a number when nothing was observed.
 */
export function bucketQuantile(
  q: number,
  bounds: readonly number[],
  counts: readonly number[],
): number {
  const last = bounds.length - 1;
  if (last < 1 || bounds[last] !== Infinity) return NaN;
  const rising = cumulative(counts);
  const total = rising[last] as number;
  if (!(total > 0)) return NaN;
  let rank = q * total;
  let index = rising.findIndex((count) => count >= rank);
  if (index < 0) index = last;
  if (index === last) return bounds[last - 1] as number;
  const end = bounds[index] as number;
  if (index === 0 && end <= 0) return end;
  const start = index === 0 ? 0 : (bounds[index - 1] as number);
  const before = index === 0 ? 0 : (rising[index - 1] as number);
  rank -= before;
  return start + (end - start) * (rank / ((rising[index] as number) - before));
}

/** Rounding, or restarts that the buckets show at different times, must not let a sum fall. */
function cumulative(counts: readonly number[]): readonly number[] {
  let highest = -Infinity;
  return counts.map((count) => (highest = Math.max(highest, count)));
}
