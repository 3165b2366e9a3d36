import { SelectorTracker } from "./alert-tracker.ts";
import type { TrackedSeries, TrackerLimits } from "./alert-tracker.ts";
import { bucketQuantile } from "./alert-quantile.ts";
import type { AnySelector, Expression } from "./alert-expressions.ts";
import type { Labels } from "./family-table.ts";
import type { FamilySnapshot } from "./snapshot.ts";

/** The value of an expression for the series with these `by` labels. */
export interface Group {
  readonly labels: Labels;
  readonly value: number;
}

export type Groups = ReadonlyMap<string, Group>;

export type Snapshot = Readonly<Record<string, FamilySnapshot>>;

/** One expression over time, group by group. A group that has no value, or one that is not a number, is left out. */
export interface ExpressionEvaluation {
  readonly trackers: readonly SelectorTracker[];
  readonly evaluate: (timeMs: number) => Groups;
}

export function evaluationOf(
  expression: Expression,
  by: readonly string[],
  limits: TrackerLimits,
): ExpressionEvaluation {
  const track = (selector: AnySelector, reads?: "buckets"): SelectorTracker => {
    // What is only looked at now needs no past.
    const windowMs = "windowMs" in expression ? expression.windowMs : 1;
    return new SelectorTracker(selector, windowMs, limits, reads);
  };
  const plan = planOf(expression, by, track);
  return {
    trackers: plan.trackers,
    evaluate: (timeMs) => withoutNaN(plan.evaluate(timeMs)),
  };
}

function planOf(
  expression: Expression,
  by: readonly string[],
  track: (selector: AnySelector, reads?: "buckets") => SelectorTracker,
): ExpressionEvaluation {
  switch (expression.kind) {
    case "value": {
      const of = track(expression.of);
      const evaluate = (timeMs: number): Groups =>
        aggregate(of, by, ({ window }) => window.current(timeMs), expression.aggregate);
      return { trackers: [of], evaluate };
    }
    case "share": {
      const part = track(expression.part);
      const whole = track(expression.whole);
      const sums = (tracker: SelectorTracker, timeMs: number): Groups =>
        aggregate(tracker, by, ({ window }) => window.current(timeMs));
      const evaluate = (timeMs: number): Groups => divided(sums(part, timeMs), sums(whole, timeMs));
      return { trackers: [part, whole], evaluate };
    }
    case "slope": {
      const of = track(expression.of);
      const evaluate = (): Groups =>
        enough(
          of,
          by,
          expression.minSamples,
          aggregate(of, by, ({ window }) => window.slope()),
        );
      return { trackers: [of], evaluate };
    }
    case "rate":
    case "increase": {
      const of = track(expression.of);
      const divisor = expression.kind === "rate" ? expression.windowMs / 1000 : 1;
      const evaluate = (timeMs: number): Groups =>
        enough(of, by, expression.minSamples, increases(of, by, timeMs, divisor));
      return { trackers: [of], evaluate };
    }
    case "ratio":
      return ratioPlan(expression, by, track);
    default:
      return quantilePlan(expression, by, track);
  }
}

function ratioPlan(
  { part, whole, minSamples }: Extract<Expression, { kind: "ratio" }>,
  by: readonly string[],
  track: (selector: AnySelector) => SelectorTracker,
): ExpressionEvaluation {
  const parts = part.map((one) => track(one));
  const wholes = whole.map((one) => track(one));
  const evaluate = (timeMs: number): Groups => {
    const divisor = added(wholes.map((one) => increases(one, by, timeMs)));
    const zero = mapped(divisor, () => 0);
    const dividend = added(parts.map((one) => new Map([...zero, ...increases(one, by, timeMs)])));
    const sufficient = filtered(divisor, ({ value }) => value >= minSamples);
    return divided(dividend, sufficient);
  };
  return { trackers: [...parts, ...wholes], evaluate };
}

function quantilePlan(
  { q, of, minSamples }: Extract<Expression, { kind: "quantile" }>,
  by: readonly string[],
  track: (selector: AnySelector, reads?: "buckets") => SelectorTracker,
): ExpressionEvaluation {
  const buckets = track(of, "buckets");
  const events = track(of);
  const evaluate = (timeMs: number): Groups => {
    const counts = filtered(
      increases(events, by, timeMs),
      ({ value }) => value > 0 && value >= minSamples,
    );
    const sums = grouped(buckets, by, ({ window }) => window.increase(timeMs));
    const quantiles = new Map<string, Group>();
    for (const [key, { labels, values }] of sums) {
      if (!counts.has(key)) continue;
      const total = buckets.bounds.map((_, index) => sum(values.map((one) => one[index] ?? 0)));
      quantiles.set(key, { labels, value: bucketQuantile(q, buckets.bounds, total) });
    }
    return quantiles;
  };
  return { trackers: [buckets, events], evaluate };
}

function increases(
  tracker: SelectorTracker,
  by: readonly string[],
  timeMs: number,
  divisor = 1,
): Groups {
  return aggregate(tracker, by, ({ window }) => {
    const increase = window.increase(timeMs)?.[0];
    return increase === undefined ? undefined : increase / divisor;
  });
}

/** Leaves out the groups with fewer read-outs in the window. */
function enough(
  tracker: SelectorTracker,
  by: readonly string[],
  minSamples: number,
  groups: Groups,
): Groups {
  if (minSamples <= 2) return groups;
  const counts = aggregate(tracker, by, ({ window }) => window.count());
  return new Map([...groups].filter(([key]) => (counts.get(key)?.value ?? 0) >= minSamples));
}

function aggregate(
  tracker: SelectorTracker,
  by: readonly string[],
  read: (series: TrackedSeries) => number | undefined,
  how: "sum" | "max" | "min" | "avg" = "sum",
): Groups {
  const groups = grouped(tracker, by, read);
  const total = (values: readonly number[]): number => {
    if (how === "max" || how === "min") {
      const numbers = values.filter((value) => !Number.isNaN(value));
      return numbers.length === 0 ? NaN : Math[how](...numbers);
    }
    return how === "avg" ? sum(values) / values.length : sum(values);
  };
  return new Map(
    Array.from(groups, ([key, { labels, values }]) => [key, { labels, value: total(values) }]),
  );
}

function grouped<T>(
  tracker: SelectorTracker,
  by: readonly string[],
  read: (series: TrackedSeries) => T | undefined,
): Map<string, { readonly labels: Labels; readonly values: T[] }> {
  const groups = new Map<string, { readonly labels: Labels; readonly values: T[] }>();
  for (const series of tracker.series) {
    const value = read(series);
    if (value === undefined) continue;
    const present = by.filter((name) => (series.labels[name] ?? "") !== "");
    const labels = Object.fromEntries(present.map((name) => [name, series.labels[name] as string]));
    const key = JSON.stringify(labels);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { labels, values: [value] });
    else group.values.push(value);
  }
  return groups;
}

/** Only groups that every side has. */
function added(sides: readonly Groups[]): Groups {
  const [first = new Map<string, Group>(), ...rest] = sides;
  const common = new Map([...first].filter(([key]) => rest.every((side) => side.has(key))));
  return mapped(common, (group, key) =>
    sum([group.value, ...rest.map((side) => side.get(key)?.value ?? NaN)]),
  );
}

function divided(part: Groups, whole: Groups): Groups {
  const positive = filtered(whole, ({ value }) => value > 0);
  const both = new Map([...positive].filter(([key]) => part.has(key)));
  return mapped(both, (group, key) => (part.get(key)?.value ?? NaN) / group.value);
}

function mapped(groups: Groups, value: (group: Group, key: string) => number): Groups {
  return new Map(
    Array.from(groups, ([key, group]) => [key, { labels: group.labels, value: value(group, key) }]),
  );
}

function filtered(groups: Groups, keep: (group: Group) => boolean): Groups {
  return new Map([...groups].filter(([, group]) => keep(group)));
}

function withoutNaN(groups: Groups): Groups {
  return filtered(groups, ({ value }) => !Number.isNaN(value));
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
