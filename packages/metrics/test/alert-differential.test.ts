import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SteadyClock } from "../src/alert-clock.ts";
import { evaluationOf } from "../src/alert-evaluation.ts";
import type { Snapshot } from "../src/alert-evaluation.ts";
import { RuleEvaluation } from "../src/alert-rule-state.ts";
import {
  above,
  all,
  any,
  below,
  counter,
  defineRule,
  gauge,
  histogram,
  increase,
  prometheusRules,
  quantile,
  rate,
  ratio,
  share,
  slope,
  value,
} from "../src/alerts.ts";
import type { AlertRule, Expression } from "../src/alerts.ts";
import { toYaml } from "../src/alert-yaml.ts";
import type { YamlValue } from "../src/alert-yaml.ts";
import { canRun } from "../../../tools/services/find.ts";
import { promtoolProgram } from "../../../tools/services/prometheus.ts";
import { promtool } from "./alert-support.ts";

const STEP_MS = 10_000;
const STEPS = 70;
const LIMITS = { maxSeries: 100, maxPoints: 100, maxAlerts: 100 };
/** A twentieth of it is the step, so that both look for data at the same times. */
const HOLD_MS = 20 * STEP_MS;
const BOUNDS = [1, 2, 5, Infinity];

/** One series: its value at each step, or undefined where it is absent. */
interface Line {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (number | undefined)[];
}

interface Case {
  readonly kind: (typeof KINDS)[number];
  readonly windowSteps: number;
  readonly minSamples: number;
  readonly isAbove: boolean;
  readonly thresholdAt: number;
  readonly clearAt: number | undefined;
  readonly forSteps: number;
  readonly keepSteps: number;
  readonly holds: boolean;
  readonly combine: "one" | "all" | "any";
  readonly seeds: readonly SeriesSeed[];
}

interface SeriesSeed {
  readonly group: string;
  readonly phases: readonly Phase[];
}

interface Phase {
  readonly length: number;
  readonly mode: "run" | "idle" | "gone" | "restart";
  readonly pace: number;
  readonly spread: readonly number[];
}

const KINDS = ["value", "share", "slope", "rate", "increase", "ratio", "quantile"] as const;

const phase: fc.Arbitrary<Phase> = fc.record({
  length: fc.integer({ min: 2, max: 18 }),
  mode: fc.constantFrom("run", "run", "run", "idle", "gone", "restart"),
  pace: fc.integer({ min: 0, max: 40 }),
  spread: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 4, maxLength: 4 }),
});

const oneCase: fc.Arbitrary<Case> = fc.record({
  kind: fc.constantFrom(...KINDS, "ratio", "ratio", "quantile"),
  windowSteps: fc.integer({ min: 2, max: 12 }),
  minSamples: fc.constantFrom(0, 0, 3, 6),
  isAbove: fc.boolean(),
  thresholdAt: fc.double({ min: 0.2, max: 0.8, noNaN: true }),
  clearAt: fc.option(fc.double({ min: 0.05, max: 0.95, noNaN: true }), { nil: undefined }),
  forSteps: fc.integer({ min: 0, max: 4 }),
  keepSteps: fc.constantFrom(0, 0, 2, 5),
  holds: fc.boolean(),
  combine: fc.constantFrom("one", "one", "all", "any"),
  seeds: fc.array(
    fc.record({
      group: fc.constantFrom("a", "b"),
      phases: fc.array(phase, { minLength: 4, maxLength: 8 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

describe.skipIf(!canRun("alerts against promtool", "promtool", promtoolProgram))(
  "alerts: the evaluator and Prometheus, on the same random series",
  () => {
    test("agree about every alert at every step, for every kind of expression", async () => {
      let compared = 0;
      let firing = 0;
      const property = fc.asyncProperty(
        fc.array(oneCase, { minLength: 12, maxLength: 12 }),
        async (cases) => {
          const played = cases.flatMap((one, index) => play(one, index) ?? []);
          const rules = played.map(({ rule }) => rule);
          const expected = Array.from({ length: STEPS }, (_, step) =>
            played.flatMap(({ fired }) => fired[step] ?? []),
          );
          compared += rules.length;
          firing += expected.filter((labels) => labels.length > 0).length;
          const { ok, output } = await promtool(
            {
              "rules.yaml": prometheusRules(rules, { targetLabels: [] }),
              "test.yaml": unitTest(
                played.flatMap(({ lines }) => lines),
                expected,
              ),
            },
            "test",
            "rules",
            "test.yaml",
          );
          expect(ok ? "" : `${output}\n${prometheusRules(rules, { targetLabels: [] })}`).toBe("");
        },
      );
      await fc.assert(property, {
        numRuns: Number(process.env["ALERT_RUNS"] ?? 12),
        endOnFailure: true,
      });
      expect(compared).toBeGreaterThan(50);
      expect(firing).toBeGreaterThan(100);
    }, 300_000);
  },
);

interface Played {
  readonly rule: AlertRule;
  readonly lines: readonly Line[];
  /** Labels of the firing alerts, step by step. */
  readonly fired: readonly (readonly Readonly<Record<string, string>>[])[];
}

/** Undefined when the expression has too few values for a threshold between them. */
function play(one: Case, index: number): Played | undefined {
  const lines = linesOf(one, index);
  const expression = expressionOf(one, index);
  const values = valuesOf(expression, lines);
  const threshold = between(values, one.thresholdAt);
  if (threshold === undefined) return undefined;
  const rule = ruleOf(one, index, expression, threshold, values);
  const evaluation = new RuleEvaluation(rule, LIMITS);
  let step = 0;
  const clock = new SteadyClock(() => (step + 1) * STEP_MS, STEP_MS);
  const fired: Readonly<Record<string, string>>[][] = [];
  for (; step < STEPS; step += 1) {
    evaluation.evaluate(clock.tick(), snapshotAt(lines, step), step * STEP_MS);
    const alerts = evaluation.state().alerts.filter(({ state }) => state === "firing");
    fired.push(alerts.map(({ labels }) => labels));
  }
  return { rule, lines, fired };
}

function ruleOf(
  one: Case,
  index: number,
  expression: Expression,
  threshold: number,
  values: readonly number[],
): AlertRule {
  const cleared = one.clearAt === undefined ? undefined : between(values, one.clearAt);
  const isLooser =
    cleared !== undefined && (one.isAbove ? cleared < threshold : cleared > threshold);
  const first = one.isAbove
    ? above(expression, threshold, isLooser ? { clearBelow: cleared } : {})
    : below(expression, threshold, isLooser ? { clearAbove: cleared } : {});
  // Over a longer window, which has data where the first has none.
  const longer = expressionOf({ ...one, windowSteps: one.windowSteps + 5 }, index);
  const second = above(longer, between(values, 0.4) ?? threshold);
  const when =
    one.combine === "one"
      ? first
      : { all, any }[one.combine](...(index % 2 === 0 ? [first, second] : [second, first]));
  return defineRule({
    name: `Case${index}`,
    severity: "info",
    summary: "{value} of {g}",
    description: "random",
    by: ["g"],
    when,
    forMs: one.forSteps * STEP_MS,
    keepFiringMs: one.keepSteps * STEP_MS,
    holdWithoutDataMs: one.holds ? HOLD_MS : 0,
  });
}

function expressionOf({ kind, windowSteps, minSamples }: Case, index: number): Expression {
  // Half a step more, so that it does not matter to whom the border belongs.
  const windowMs = windowSteps * STEP_MS + STEP_MS / 2;
  const options = { windowMs, minSamples };
  const events = counter(`c${index}_total`);
  switch (kind) {
    case "value":
      return value(gauge(`g${index}`), index % 2 === 0 ? "sum" : "max");
    case "share":
      return share(gauge(`g${index}`), gauge(`w${index}`));
    case "slope":
      return slope(gauge(`g${index}`), options);
    case "rate":
      return rate(events, options);
    case "increase":
      return increase(events, options);
    case "ratio":
      // A part that is not in the whole may be missing.
      return index % 2 === 0
        ? ratio(events, [events, counter(`o${index}_total`)], options)
        : ratio(events, counter(`o${index}_total`), options);
    default:
      return quantile(index % 2 === 0 ? 0.5 : 0.9, histogram(`h${index}`), options);
  }
}

/** For each seed the series of every family that some expression reads. */
function linesOf({ seeds, kind }: Case, index: number): readonly Line[] {
  return seeds.flatMap(({ group, phases }, serial) => {
    const labels = { g: group, s: String(serial) };
    const line = (name: string, column: number, isCounter: boolean, more = {}): Line => ({
      name,
      labels: { ...labels, ...more },
      values: valuesAlong(phases, column, isCounter),
    });
    if (kind === "value" || kind === "slope") return [line(`g${index}`, 0, false)];
    if (kind === "share") return [line(`g${index}`, 0, false), line(`w${index}`, 1, false)];
    if (kind === "rate" || kind === "increase") return [line(`c${index}_total`, 0, true)];
    if (kind === "ratio") {
      const part = index % 2 === 1 && group === "a" ? [] : [line(`c${index}_total`, 0, true)];
      return [...part, line(`o${index}_total`, 1, true)];
    }
    return bucketLines(`h${index}`, labels, phases);
  });
}

function bucketLines(
  family: string,
  labels: Readonly<Record<string, string>>,
  phases: readonly Phase[],
): readonly Line[] {
  const columns = BOUNDS.map((_, column) => valuesAlong(phases, column, true));
  const cumulative = BOUNDS.map((_, column) =>
    Array.from({ length: STEPS }, (_unused, step) => {
      const parts = columns.slice(0, column + 1).map((values) => values[step]);
      return parts.includes(undefined)
        ? undefined
        : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
    }),
  );
  return [
    ...BOUNDS.map((bound, column) => ({
      name: `${family}_bucket`,
      labels: { ...labels, le: bound === Infinity ? "+Inf" : String(bound) },
      values: cumulative[column] ?? [],
    })),
    { name: `${family}_count`, labels, values: cumulative.at(-1) ?? [] },
  ];
}

function valuesAlong(
  phases: readonly Phase[],
  column: number,
  isCounter: boolean,
): readonly (number | undefined)[] {
  const values: (number | undefined)[] = [];
  let total = column * 3;
  for (const { length, mode, pace, spread } of phases) {
    if (mode === "restart") total = 0;
    for (let step = 0; step < length; step += 1) {
      const gain = mode === "idle" ? 0 : pace + (spread[(step + column) % 4] ?? 0);
      total = isCounter ? total + gain : gain - 10 * column;
      values.push(mode === "gone" ? undefined : total);
    }
  }
  return Array.from({ length: STEPS }, (_, step) => values[step]);
}

function snapshotAt(lines: readonly Line[], step: number): Snapshot {
  const families: Record<string, { type: "counter" | "gauge" | "histogram"; samples: object[] }> =
    {};
  for (const { name, labels, values } of lines) {
    const now = values[step];
    const isHistogram = name.startsWith("h");
    const family = name.replace(/_(bucket|count)$/, "");
    const type = isHistogram ? "histogram" : name.endsWith("_total") ? "counter" : "gauge";
    families[family] ??= { type, samples: [] };
    if (now === undefined) continue;
    if (!isHistogram) families[family].samples.push({ labels, value: now });
    else if (name.endsWith("_count")) {
      const buckets = lines
        .filter((one) => one.name === `${family}_bucket` && one.labels["s"] === labels["s"])
        .map((one) => [one.labels["le"], one.values[step]]);
      families[family].samples.push({
        labels,
        count: now,
        sum: 0,
        buckets: Object.fromEntries(buckets),
      });
    }
  }
  return families as unknown as Snapshot;
}

function valuesOf(expression: Expression, lines: readonly Line[]): readonly number[] {
  const { trackers, evaluate } = evaluationOf(expression, ["g"], LIMITS);
  const values: number[] = [];
  for (let step = 0; step < STEPS; step += 1) {
    const snapshot = snapshotAt(lines, step);
    const timeMs = (step + 1) * STEP_MS;
    for (const tracker of trackers) tracker.update(timeMs, snapshot[tracker.selector.family]);
    for (const group of evaluate(timeMs).values()) values.push(group.value);
  }
  return [...new Set(values)].toSorted((left, right) => left - right);
}

/** In the middle of two values that are clearly apart, so that rounding does not decide. */
function between(values: readonly number[], at: number): number | undefined {
  for (let index = Math.floor(at * values.length); index + 1 < values.length; index += 1) {
    const low = values[index] as number;
    const high = values[index + 1] as number;
    if (high - low > 1e-6 * Math.max(1, Math.abs(low))) return (low + high) / 2;
  }
  return undefined;
}

function unitTest(
  lines: readonly Line[],
  expected: readonly (readonly Readonly<Record<string, string>>[])[],
): string {
  const checks = expected.map((alerts, step): YamlValue => ({
    expr: 'ALERTS{alertstate="firing"}',
    eval_time: `${(step * STEP_MS) / 1000}s`,
    exp_samples: alerts.map((labels) => ({
      labels: seriesText("ALERTS", { ...labels, alertstate: "firing" }),
      value: 1,
    })),
  }));
  return toYaml({
    rule_files: ["rules.yaml"],
    evaluation_interval: "10s",
    tests: [
      {
        interval: "10s",
        input_series: lines.map(({ name, labels, values }) => ({
          series: seriesText(name, labels),
          values: values.map((one, step) => text(one, values[step - 1])).join(" "),
        })),
        promql_expr_test: checks,
      },
    ],
  });
}

/** What is gone is marked once, as Prometheus marks it after a scrape without the series. */
function text(now: number | undefined, before: number | undefined): string {
  if (now !== undefined) return String(now);
  return before === undefined ? "_" : "stale";
}

function seriesText(name: string, labels: Readonly<Record<string, string>>): string {
  return `${name}{${Object.entries(labels)
    .map(([label, one]) => `${label}=${JSON.stringify(one)}`)
    .join(",")}}`;
}
