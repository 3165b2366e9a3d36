import { comparisons } from "./alert-expressions.ts";
import type { AnySelector, Condition, Expression, LabelMatch } from "./alert-expressions.ts";
import type { AlertRule } from "./alert-rule.ts";

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;
const HOLD_STEPS = 20;
const MIN_HOLD_STEP_MS = 1000;

/**
 * The condition of a rule as PromQL, with what the evaluator in the process does around it: a firing alert is held by its clear
 * threshold, and for a while without data. What fires is known from `ALERTS`, which Prometheus writes itself.
 *
 * `targetLabels` are added to those of `by`, so that each process has alerts of its own.
 */
export function promqlOf(rule: AlertRule, targetLabels: readonly string[] = []): string {
  const by = [...targetLabels, ...rule.by];
  const parts = [condition(rule.when, by, "fire")];
  const matchers = `alertname="${rule.name}",alertstate="firing",severity="${rule.severity}"`;
  const firing = `max by (${by.join(", ")}) (ALERTS{${matchers}})`;
  if (hasHysteresis(rule.when)) {
    parts.push(`${condition(rule.when, by, "hold")}\nand\n  ${firing}`);
  }
  if (rule.holdWithoutDataMs > 0) {
    const data = condition(rule.when, by, "data");
    const step = Math.max(MIN_HOLD_STEP_MS, Math.floor(rule.holdWithoutDataMs / HOLD_STEPS));
    const window = `[${promDuration(rule.holdWithoutDataMs)}:${promDuration(step)}]`;
    parts.push(`(${firing} unless ${data})\nand\n  present_over_time(${data}${window})`);
  }
  if (parts.length === 1) return parts[0] as string;
  return parts.map((part) => `(\n  ${part.replaceAll("\n", "\n  ")}\n)`).join("\nor\n");
}

/** As Prometheus writes durations: `1h30m`. */
export function promDuration(durationMs: number): string {
  let rest = durationMs;
  let text = "";
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}

/** `family{label="value"}`; `suffix` is that of a histogram's series, `more` are matchers as they are. */
export function promSelector({ family, labels }: AnySelector, suffix = "", more = ""): string {
  const own = Object.entries(labels).map(([name, match]) => `${name}${matcher(match)}`);
  const matchers = more === "" ? own : [...own, more];
  return family + suffix + (matchers.length === 0 ? "" : `{${matchers.join(",")}}`);
}

export function hasHysteresis(when: Condition): boolean {
  return comparisons(when).some(
    ({ comparison, threshold, hold }) =>
      hold.comparison !== comparison || hold.threshold !== threshold,
  );
}

type Mode = "fire" | "hold" | "data";

function condition(tree: Condition, by: readonly string[], mode: Mode): string {
  if (tree.kind !== "compare") {
    const inner = tree.conditions.map((one) => condition(one, by, mode));
    return inner.length === 1
      ? (inner[0] as string)
      : `(${inner.join(tree.kind === "all" ? " and " : " or ")})`;
  }
  if (mode === "data") return dataText(tree.expression, by);
  const { comparison, threshold } = mode === "fire" ? tree : tree.hold;
  return `(${expressionText(tree.expression, by)} ${comparison} ${number(threshold)})`;
}

/** True wherever the expression has a value. Events suffice for a ratio or a quantile. */
function dataText(expression: Expression, by: readonly string[]): string {
  const sum = (inner: string): string => `sum by (${by.join(", ")}) (${inner})`;
  if (expression.kind === "ratio") return `(${enoughEvents(expression.whole, expression, sum)})`;
  if (expression.kind === "quantile") return `(${enoughEvents([expression.of], expression, sum)})`;
  // What is not a number compares with nothing: it is no data.
  return `(${expressionText(expression, by)} >= -Inf)`;
}

function expressionText(expression: Expression, by: readonly string[]): string {
  const labels = by.join(", ");
  const sum = (inner: string): string => `sum by (${labels}) (${inner})`;
  switch (expression.kind) {
    case "value":
      return `${expression.aggregate} by (${labels}) (${promSelector(expression.of)})`;
    case "share": {
      const whole = sum(promSelector(expression.whole));
      return `(${sum(promSelector(expression.part))} / (${whole} > 0))`;
    }
    case "slope":
      return counted(expression, sum(`deriv(${ranged(expression)})`), sum);
    case "rate":
    case "increase":
      return counted(expression, sum(`${expression.kind}(${ranged(expression)})`), sum);
    case "ratio":
      return ratioText(expression, sum);
    default: {
      const { q, of, windowMs } = expression;
      const window = `[${promDuration(windowMs)}]`;
      const buckets = `sum by (${[...by, "le"].join(", ")}) (rate(${promSelector(of, "_bucket")}${window}))`;
      const enough = enoughEvents([of], expression, sum);
      return `(histogram_quantile(${q}, ${buckets}) and (${enough}))`;
    }
  }
}

function ratioText(
  expression: Extract<Expression, { kind: "ratio" }>,
  sum: (inner: string) => string,
): string {
  const { part, whole, windowMs, minSamples } = expression;
  const rated = (one: AnySelector): string =>
    sum(`rate(${events(one)}[${promDuration(windowMs)}])`);
  const divisor = whole.map(rated).join(" + ");
  const dividend = part.map((one) => `(${rated(one)} or 0 * (${divisor}))`);
  const text = `(${dividend.join(" + ")}) / ((${divisor}) > 0)`;
  if (minSamples === 0) return `(${text})`;
  return `(${text} and (${enoughEvents(whole, expression, sum)}))`;
}

function enoughEvents(
  selectors: readonly AnySelector[],
  { windowMs, minSamples }: { readonly windowMs: number; readonly minSamples: number },
  sum: (inner: string) => string,
): string {
  const window = `[${promDuration(windowMs)}]`;
  const count = selectors.map((one) => sum(`increase(${events(one)}${window})`)).join(" + ");
  return minSamples === 0 ? `${count} > 0` : `${count} >= ${number(minSamples)}`;
}

function counted(
  expression: Extract<Expression, { kind: "slope" | "rate" | "increase" }>,
  text: string,
  sum: (inner: string) => string,
): string {
  if (expression.minSamples <= 2) return text;
  const count = sum(`count_over_time(${ranged(expression)})`);
  return `(${text} and (${count} >= ${number(expression.minSamples)}))`;
}

function ranged({
  of,
  windowMs,
}: Extract<Expression, { kind: "slope" | "rate" | "increase" }>): string {
  return `${events(of)}[${promDuration(windowMs)}]`;
}

/** A histogram's events are its observations. */
function events(selector: AnySelector): string {
  return promSelector(selector, selector.type === "histogram" ? "_count" : "");
}

function matcher(match: LabelMatch): string {
  if (typeof match === "string") return `=${quoted(match)}`;
  if ("not" in match) return `!=${quoted(match.not)}`;
  return "oneOf" in match
    ? `=~${quoted(alternatives(match.oneOf))}`
    : `!~${quoted(alternatives(match.noneOf))}`;
}

function alternatives(texts: readonly string[]): string {
  return texts.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|");
}

/** As a Go string: what JSON escapes is escaped alike there. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function number(value: number): string {
  return String(value);
}
