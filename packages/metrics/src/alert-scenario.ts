import { SteadyClock } from "./alert-clock.ts";
import { UntestableRuleError } from "./alert-errors.ts";
import type { Snapshot } from "./alert-evaluation.ts";
import { scenarioSeries } from "./alert-scenario-series.ts";
import type { ScenarioSeries } from "./alert-scenario-series.ts";
import { RuleEvaluation } from "./alert-rule-state.ts";
import type { AlertRule } from "./alert-rule.ts";
import type { Labels } from "./family-table.ts";
import type { FamilySnapshot, HistogramSnapshot, ScalarSnapshot } from "./snapshot.ts";

/** Series under which a rule fires and then resolves, step by step. */
export interface Scenario {
  readonly series: readonly ScenarioSeries[];
  readonly badSteps: number;
  readonly goodSteps: number;
  readonly firesAtStep: number;
  readonly resolvesAtStep: number;
  /** Of the alert. */
  readonly labels: Labels;
}

const MAX_STEPS = 5000;
/** Steps by which anybody else may be later: windows open or closed at their start, samples that arrive after an evaluation. */
export const MARGIN_STEPS = 3;
const LIMITS = { maxSeries: 1000, maxPoints: 5000, maxAlerts: 10 };

/**
 * Constructs series from the definition of a rule and plays them to the evaluator.
 * @throws UntestableRuleError when they do not make it fire, or not resolve
 */
export function scenarioOf(rule: AlertRule, stepMs: number): Scenario {
  const series = scenarioSeries(rule, stepMs);
  const evaluation = new RuleEvaluation(rule, LIMITS);
  const clock = new SteadyClock(steps(stepMs), stepMs);
  const play = (step: number, badSteps: number) =>
    evaluation.evaluate(clock.tick(), snapshotAt(series, step, badSteps), step * stepMs);

  let step = 0;
  const until = (status: string, badSteps: number): Labels => {
    for (; step < MAX_STEPS; step += 1) {
      const event = play(step, badSteps).find((one) => one.status === status);
      if (event !== undefined) return event.labels;
    }
    throw new UntestableRuleError(rule.name, `the constructed series leave it never ${status}`);
  };
  const labels = until("firing", Infinity);
  const firesAtStep = step;
  const badSteps = firesAtStep + MARGIN_STEPS;
  step += 1;
  until("resolved", badSteps);
  const goodSteps = step + MARGIN_STEPS - badSteps;
  return { series, badSteps, goodSteps, firesAtStep, resolvesAtStep: step, labels };
}

function steps(stepMs: number): () => number {
  let step = 0;
  return () => {
    step += 1;
    return step * stepMs;
  };
}

function snapshotAt(series: readonly ScenarioSeries[], step: number, badSteps: number): Snapshot {
  const families: Record<
    string,
    FamilySnapshot & { samples: (ScalarSnapshot | HistogramSnapshot)[] }
  > = {};
  for (const one of series) {
    const { type, family } = one.selector;
    families[family] ??= { type, help: "", unit: "", samples: [] };
    families[family].samples.push(sampleAt(one, step, badSteps));
  }
  return families;
}

function sampleAt(
  series: ScenarioSeries,
  step: number,
  badSteps: number,
): ScalarSnapshot | HistogramSnapshot {
  const { labels, selector, bounds } = series;
  const value = valueAt(series, step, badSteps);
  if (selector.type !== "histogram") return { labels, value };
  const buckets = Object.fromEntries(
    bounds.map((bound, index) => [
      bound === Infinity ? "+Inf" : String(bound),
      valueAt(series, step, badSteps, index),
    ]),
  );
  return { labels, count: value, sum: 0, buckets };
}

/** Value of a series, or of one bucket of it, after `step` steps of which the first `badSteps` are bad. */
export function valueAt(
  { start, bad, good, isLevel, bucketShares }: ScenarioSeries,
  step: number,
  badSteps: number,
  bucket?: number,
): number {
  if (isLevel) return step <= badSteps ? bad : good;
  const shares = bucket === undefined ? undefined : bucketShares[bucket];
  const inBad = Math.min(step, badSteps) * bad * (shares?.bad ?? 1);
  const inGood = Math.max(0, step - badSteps) * good * (shares?.good ?? 1);
  return start + inBad + inGood;
}
