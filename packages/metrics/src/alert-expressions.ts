/** Equality with a text, inequality, one of several, or none of them. A label that a series lacks has the value "". */
export type LabelMatch =
  | string
  | { readonly not: string }
  | { readonly oneOf: readonly string[] }
  | { readonly noneOf: readonly string[] };

export type LabelMatches = Readonly<Record<string, LabelMatch>>;

/** The series of one family whose labels match. */
export interface Selector<T extends "counter" | "gauge" | "histogram"> {
  readonly type: T;
  readonly family: string;
  readonly labels: LabelMatches;
}

export type AnySelector = Selector<"counter"> | Selector<"gauge"> | Selector<"histogram">;

/** What counts events: a counter, or the observations of a histogram. */
export type EventsSelector = Selector<"counter"> | Selector<"histogram">;

export type Aggregate = "sum" | "max" | "min" | "avg";

export interface WindowOptions {
  readonly windowMs: number;
  /** Samples in the window below which there is no data. Default 2, which the arithmetic needs anyway. */
  readonly minSamples?: number;
}

export interface EventWindowOptions {
  readonly windowMs: number;
  /** Events in the window below which there is no data. Default 0: any at all. */
  readonly minSamples?: number;
}

/** Every expression has one value for each group of series with equal `by` labels of its rule. */
export type Expression =
  | { readonly kind: "value"; readonly of: Selector<"gauge">; readonly aggregate: Aggregate }
  | {
      readonly kind: "share";
      readonly part: Selector<"gauge">;
      readonly whole: Selector<"gauge">;
    }
  | ({ readonly kind: "slope"; readonly of: Selector<"gauge"> } & Required<WindowOptions>)
  | ({
      readonly kind: "rate" | "increase";
      readonly of: EventsSelector;
    } & Required<WindowOptions>)
  | ({
      readonly kind: "ratio";
      readonly part: readonly EventsSelector[];
      readonly whole: readonly EventsSelector[];
    } & Required<EventWindowOptions>)
  | ({
      readonly kind: "quantile";
      readonly q: number;
      readonly of: Selector<"histogram">;
    } & Required<EventWindowOptions>);

export type Comparison = ">" | ">=" | "<" | "<=";

export type Condition =
  | {
      readonly kind: "compare";
      readonly expression: Expression;
      readonly comparison: Comparison;
      readonly threshold: number;
      /** What holds a firing alert: it clears when this is no longer true. */
      readonly hold: { readonly comparison: Comparison; readonly threshold: number };
    }
  | { readonly kind: "all" | "any"; readonly conditions: readonly Condition[] };

export function counter(family: string, labels: LabelMatches = {}): Selector<"counter"> {
  return { type: "counter", family, labels };
}

export function gauge(family: string, labels: LabelMatches = {}): Selector<"gauge"> {
  return { type: "gauge", family, labels };
}

export function histogram(family: string, labels: LabelMatches = {}): Selector<"histogram"> {
  return { type: "histogram", family, labels };
}

/** The gauges now, added up or otherwise aggregated. */
export function value(of: Selector<"gauge">, aggregate: Aggregate = "sum"): Expression {
  return { kind: "value", of, aggregate };
}

/** One sum of gauges divided by another, now. No data while the divisor is not above 0. */
export function share(part: Selector<"gauge">, whole: Selector<"gauge">): Expression {
  return { kind: "share", part, whole };
}

/** Change per second of the gauges, by linear regression over the window. */
export function slope(of: Selector<"gauge">, options: WindowOptions): Expression {
  return { kind: "slope", of, minSamples: 2, ...options };
}

/** Events per second over the window; a counter that falls was restarted. */
export function rate(of: EventsSelector, options: WindowOptions): Expression {
  return { kind: "rate", of, minSamples: 2, ...options };
}

/** Events in the window, extrapolated to its ends. */
export function increase(of: EventsSelector, options: WindowOptions): Expression {
  return { kind: "increase", of, minSamples: 2, ...options };
}

/**
 * Rate of `part` divided by the rate of `whole`; several selectors are added up. A part without series counts as 0; without events in
 * the whole there is no data.
 */
export function ratio(
  part: EventsSelector | readonly EventsSelector[],
  whole: EventsSelector | readonly EventsSelector[],
  options: EventWindowOptions,
): Expression {
  return { kind: "ratio", part: [part].flat(), whole: [whole].flat(), minSamples: 0, ...options };
}

/** Quantile of the observations in the window, interpolated within its bucket. */
export function quantile(
  q: number,
  of: Selector<"histogram">,
  options: EventWindowOptions,
): Expression {
  return { kind: "quantile", q, of, minSamples: 0, ...options };
}

/** True above `threshold`. Once it fires, it clears below `clearBelow`, or at the threshold when that is left out. */
export function above(
  expression: Expression,
  threshold: number,
  { clearBelow }: { readonly clearBelow?: number } = {},
): Condition {
  const hold =
    clearBelow === undefined
      ? ({ comparison: ">", threshold } as const)
      : ({ comparison: ">=", threshold: clearBelow } as const);
  return { kind: "compare", expression, comparison: ">", threshold, hold };
}

/** True below `threshold`. Once it fires, it clears above `clearAbove`, or at the threshold when that is left out. */
export function below(
  expression: Expression,
  threshold: number,
  { clearAbove }: { readonly clearAbove?: number } = {},
): Condition {
  const hold =
    clearAbove === undefined
      ? ({ comparison: "<", threshold } as const)
      : ({ comparison: "<=", threshold: clearAbove } as const);
  return { kind: "compare", expression, comparison: "<", threshold, hold };
}

/** True for the groups for which every condition is. Without data in one of them there is no data. */
export function all(...conditions: readonly Condition[]): Condition {
  return { kind: "all", conditions };
}

/** True for the groups for which one condition is. There is no data only when none has any. */
export function any(...conditions: readonly Condition[]): Condition {
  return { kind: "any", conditions };
}

/** The comparisons of a condition, left to right. */
export function comparisons(
  condition: Condition,
): readonly Extract<Condition, { kind: "compare" }>[] {
  return condition.kind === "compare" ? [condition] : condition.conditions.flatMap(comparisons);
}

/** Everything an expression reads. */
export function selectorsOf(expression: Expression): readonly AnySelector[] {
  if (expression.kind === "ratio") return [...expression.part, ...expression.whole];
  if (expression.kind === "share") return [expression.part, expression.whole];
  return [expression.of];
}

export function matches(selector: AnySelector, labels: Readonly<Record<string, string>>): boolean {
  for (const [name, match] of Object.entries(selector.labels)) {
    const actual = labels[name] ?? "";
    if (typeof match === "string" ? match !== actual : !matchesOne(match, actual)) return false;
  }
  return true;
}

function matchesOne(match: Exclude<LabelMatch, string>, actual: string): boolean {
  if ("not" in match) return match.not !== actual;
  return "oneOf" in match ? match.oneOf.includes(actual) : !match.noneOf.includes(actual);
}
