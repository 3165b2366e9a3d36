import { evaluationOf } from "./alert-evaluation.ts";
import type { Group, Groups, Snapshot } from "./alert-evaluation.ts";
import type { SelectorTracker, TrackerLimits } from "./alert-tracker.ts";
import type { Comparison, Condition } from "./alert-expressions.ts";

/** What a condition says about one group that has data. */
export interface Verdict extends Group {
  readonly isTrue: boolean;
  /** Whether it keeps a firing alert firing. */
  readonly holds: boolean;
}

export type Verdicts = ReadonlyMap<string, Verdict>;

/** The condition of one rule over time. */
export class ConditionEvaluation {
  readonly #trackers: SelectorTracker[] = [];
  readonly #judge: (timeMs: number) => Verdicts;

  constructor(condition: Condition, by: readonly string[], limits: TrackerLimits) {
    this.#judge = this.#judgeOf(condition, by, limits);
  }

  /** Takes in what was read at `timeMs`, later than any time before. */
  update(timeMs: number, snapshot: Snapshot): Verdicts {
    for (const tracker of this.#trackers) tracker.update(timeMs, snapshot[tracker.selector.family]);
    return this.#judge(timeMs);
  }

  get dropped(): number {
    return this.#trackers.reduce((total, { dropped }) => total + dropped, 0);
  }

  #judgeOf(
    condition: Condition,
    by: readonly string[],
    limits: TrackerLimits,
  ): (timeMs: number) => Verdicts {
    if (condition.kind === "compare") {
      const { expression, comparison, threshold, hold } = condition;
      const { trackers, evaluate } = evaluationOf(expression, by, limits);
      this.#trackers.push(...trackers);
      return (timeMs) =>
        judged(evaluate(timeMs), ({ value }) => ({
          isTrue: holds(value, comparison, threshold),
          holds: holds(value, hold.comparison, hold.threshold),
        }));
    }
    const judges = condition.conditions.map((inner) => this.#judgeOf(inner, by, limits));
    const combine = condition.kind === "all" ? everyOf : someOf;
    return (timeMs) => combine(judges.map((judge) => judge(timeMs)));
  }
}

function judged(
  groups: Groups,
  judge: (group: Group) => { readonly isTrue: boolean; readonly holds: boolean },
): Verdicts {
  return new Map(Array.from(groups, ([key, group]) => [key, { ...group, ...judge(group) }]));
}

/** A group needs data on every side; its value is that of the first. */
function everyOf(sides: readonly Verdicts[]): Verdicts {
  const [first = new Map<string, Verdict>(), ...rest] = sides;
  const verdicts = new Map<string, Verdict>();
  for (const [key, verdict] of first) {
    const others = rest.map((side) => side.get(key)).filter((other) => other !== undefined);
    if (others.length < rest.length) continue;
    verdicts.set(key, {
      ...verdict,
      isTrue: verdict.isTrue && others.every(({ isTrue }) => isTrue),
      holds: verdict.holds && others.every((other) => other.holds),
    });
  }
  return verdicts;
}

/** A group needs data on one side; its value is that of the first which is true, or else holds, or else has any. */
function someOf(sides: readonly Verdicts[]): Verdicts {
  const verdicts = new Map<string, Verdict>();
  for (const key of new Set(sides.flatMap((side) => [...side.keys()]))) {
    const present = sides.map((side) => side.get(key)).filter((one) => one !== undefined);
    const shown =
      present.find(({ isTrue }) => isTrue) ?? present.find((one) => one.holds) ?? present[0];
    if (shown === undefined) continue;
    verdicts.set(key, {
      ...shown,
      isTrue: present.some(({ isTrue }) => isTrue),
      holds: present.some((one) => one.holds),
    });
  }
  return verdicts;
}

function holds(value: number, comparison: Comparison, threshold: number): boolean {
  switch (comparison) {
    case ">":
      return value > threshold;
    case ">=":
      return value >= threshold;
    case "<":
      return value < threshold;
    default:
      return value <= threshold;
  }
}
