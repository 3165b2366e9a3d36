export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** NaN when there is nothing. */
export function percentiles(valuesMs: readonly number[]): Percentiles {
  const sorted = valuesMs.toSorted((a, b) => a - b);
  const at = (ratio: number): number => sorted[Math.floor((sorted.length - 1) * ratio)] ?? NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
