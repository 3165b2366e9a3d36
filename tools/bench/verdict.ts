import type { Counts } from "./instructions.ts";

/** More instructions than the baseline by this share fail the gate. */
export const TOLERANCE = 0.03;

export type Verdict = "ok" | "slower" | "faster" | "no baseline";

export interface Comparison {
  readonly package: string;
  readonly operation: string;
  readonly instructions: number;
  readonly baseline: number | undefined;
  /** Of the baseline, 0.05 for 5 % more. */
  readonly change: number | undefined;
  readonly verdict: Verdict;
}

export function compare(
  name: string,
  counts: Counts,
  baseline: Counts | undefined,
): readonly Comparison[] {
  return Object.entries(counts).map(([operation, instructions]) => {
    const before = baseline?.[operation];
    const change = before === undefined ? undefined : instructions / before - 1;
    const verdict = judge(change);
    return { package: name, operation, instructions, baseline: before, change, verdict };
  });
}

function judge(change: number | undefined): Verdict {
  if (change === undefined) return "no baseline";
  if (change > TOLERANCE) return "slower";
  return change < -TOLERANCE ? "faster" : "ok";
}
