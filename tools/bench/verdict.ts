import type { Counts } from "./instructions.ts";

/** More instructions than the baseline by this share fail the gate. */
export const TOLERANCE = 0.03;

export type Verdict = "ok" | "slower" | "faster" | "no baseline" | "gone";

export interface Comparison {
  readonly package: string;
  readonly operation: string;
  readonly instructions: number | undefined;
  readonly baseline: number | undefined;
  /** Of the baseline, 0.05 for 5 % more. */
  readonly change: number | undefined;
  readonly verdict: Verdict;
}

/** Of the operations of a package, those that only the baseline has included. */
export function compare(
  name: string,
  counts: Counts,
  baseline: Counts = {},
): readonly Comparison[] {
  const operations = new Set([...Object.keys(counts), ...Object.keys(baseline)]);
  return [...operations].map((operation) => {
    const instructions = counts[operation];
    const before = baseline[operation];
    const known = instructions !== undefined && before !== undefined;
    const change = known ? instructions / before - 1 : undefined;
    const verdict = change === undefined ? missing(instructions) : judge(change);
    return { package: name, operation, instructions, baseline: before, change, verdict };
  });
}

function missing(instructions: number | undefined): Verdict {
  return instructions === undefined ? "gone" : "no baseline";
}

function judge(change: number): Verdict {
  if (change > TOLERANCE) return "slower";
  return change < -TOLERANCE ? "faster" : "ok";
}
