import { comparisons } from "./alert-expressions.ts";
import { checkRules } from "./alert-options.ts";
import { promDuration } from "./alert-promql.ts";
import { TARGET_LABELS } from "./alert-prometheus.ts";
import type { AlertRule } from "./alert-rule.ts";
import { MARGIN_STEPS, scenarioOf, valueAt } from "./alert-scenario.ts";
import type { Scenario } from "./alert-scenario.ts";
import type { ScenarioSeries } from "./alert-scenario-series.ts";
import { toYaml } from "./alert-yaml.ts";
import type { YamlValue } from "./alert-yaml.ts";
import type { Labels } from "./family-table.ts";

export interface PromtoolTestsOptions {
  /** What `prometheusRules()` was written to, from where the tests are. Default `rules.yaml`. */
  readonly ruleFile?: string;
  /** As for `prometheusRules()`. Default `job` and `instance`. */
  readonly targetLabels?: readonly string[];
}

const MINUTE_MS = 60_000;
const MIN_STEP_MS = 1000;

/**
 * Unit tests for `promtool test rules`: for each rule, series constructed from its definition, under which it is shown not to fire at
 * first, to fire, and to resolve.
 * @throws UntestableRuleError when no such series were found, InvalidOptionError, InvalidRuleError
 */
export function promtoolTests(
  rules: readonly AlertRule[],
  { ruleFile = "rules.yaml", targetLabels = TARGET_LABELS }: PromtoolTestsOptions = {},
): string {
  checkRules(rules);
  const stepMs = stepFor(rules);
  const target = Object.fromEntries(targetLabels.map((name) => [name, `test-${name}`]));
  const interval = promDuration(stepMs);
  const tests = rules.map((rule) => {
    const scenario = scenarioOf(rule, stepMs);
    return {
      name: rule.name,
      interval,
      input_series: inputSeries(scenario, target),
      promql_expr_test: checks(rule, scenario, target, stepMs),
    };
  });
  return toYaml({ rule_files: [ruleFile], evaluation_interval: interval, tests });
}

/** A quarter of the shortest window or wait, at most a minute. */
function stepFor(rules: readonly AlertRule[]): number {
  const lengths = rules.flatMap(({ when }) =>
    comparisons(when).map(({ expression }) =>
      "windowMs" in expression ? expression.windowMs : Infinity,
    ),
  );
  const step = Math.min(MINUTE_MS, ...lengths.map((length) => length / 4));
  return Math.max(MIN_STEP_MS, Math.floor(step / 1000) * 1000);
}

function checks(rule: AlertRule, scenario: Scenario, target: Labels, stepMs: number): YamlValue[] {
  const { firesAtStep, resolvesAtStep, labels } = scenario;
  const firing = { ...labels, ...target, alertstate: "firing" };
  const expr = `ALERTS{alertname="${rule.name}",alertstate="firing"}`;
  const at = (step: number, exp_samples: YamlValue): YamlValue => ({
    expr,
    eval_time: promDuration(step * stepMs),
    exp_samples,
  });
  const before = firesAtStep - MARGIN_STEPS;
  return [
    ...(before > 0 ? [at(before, [])] : []),
    at(firesAtStep + MARGIN_STEPS - 1, [{ labels: seriesText("ALERTS", firing), value: 1 }]),
    at(resolvesAtStep + MARGIN_STEPS - 1, []),
  ];
}

function inputSeries(scenario: Scenario, target: Labels): YamlValue[] {
  return scenario.series.flatMap((series) => {
    const { family, type } = series.selector;
    const labels = { ...series.labels, ...target };
    if (type !== "histogram") {
      return [{ series: seriesText(family, labels), values: valuesText(series, scenario) }];
    }
    // Who only counts observations needs no buckets.
    const bounds = series.bounds.length > 1 ? series.bounds : [];
    const buckets = bounds.map((bound, index) => {
      const le = bound === Infinity ? "+Inf" : String(bound);
      const values = valuesText(series, scenario, index);
      return { series: seriesText(`${family}_bucket`, { ...labels, le }), values };
    });
    const values = valuesText(series, scenario);
    return [...buckets, { series: seriesText(`${family}_count`, labels), values }];
  });
}

/** Two runs in promtool's notation: `start+gainxsteps`. */
function valuesText(series: ScenarioSeries, scenario: Scenario, bucket?: number): string {
  const { badSteps, goodSteps } = scenario;
  const run = (from: number, to: number): string => {
    const first = valueAt(series, from, badSteps, bucket);
    const gain = to === from ? 0 : (valueAt(series, to, badSteps, bucket) - first) / (to - from);
    return `${plain(first)}${gain < 0 ? "-" : "+"}${plain(Math.abs(gain))}x${to - from}`;
  };
  return `${run(0, badSteps)} ${run(badSteps + 1, badSteps + goodSteps)}`;
}

/** Without an exponent, which the notation does not know. */
function plain(value: number): string {
  return value.toFixed(20).replace(/\.?0+$/, "");
}

function seriesText(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}
