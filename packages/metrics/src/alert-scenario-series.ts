import { comparisons, matches } from "./alert-expressions.ts";
import type { AnySelector, Condition, Expression } from "./alert-expressions.ts";
import type { AlertRule } from "./alert-rule.ts";
import { labelsText } from "./alert-webhook-shape.ts";
import type { Labels } from "./family-table.ts";

/** One series that is bad for some steps and good after. */
export interface ScenarioSeries {
  readonly selector: AnySelector;
  readonly labels: Labels;
  readonly start: number;
  /** What it has, or what it gains in a step. */
  readonly bad: number;
  readonly good: number;
  readonly isLevel: boolean;
  /** Upper bounds of a histogram and the parts of its observations at or below each. */
  readonly bounds: readonly number[];
  readonly bucketShares: readonly { readonly bad: number; readonly good: number }[];
}

interface Wanted {
  readonly bad: number;
  readonly good: number;
}

type Leaf = Extract<Condition, { kind: "compare" }>;

const LEVEL_START = 1e9;
const EVENTS_IN_WINDOW = 1000;
const GRAIN = 2 ** 20;

/** For each family a rule reads the series that make all its comparisons true in the bad steps and false in the good ones. */
export function scenarioSeries(rule: AlertRule, stepMs: number): readonly ScenarioSeries[] {
  const all = new Map<string, ScenarioSeries>();
  for (const leaf of comparisons(rule.when)) {
    for (const one of leafSeries(leaf, rule, stepMs / 1000)) {
      const key = one.selector.family + labelsText(one.labels);
      const other = all.get(key);
      all.set(key, other === undefined ? one : moreExtreme(other, one));
    }
  }
  return [...all.values()];
}

function leafSeries(leaf: Leaf, rule: AlertRule, stepSeconds: number): readonly ScenarioSeries[] {
  const { expression } = leaf;
  const wanted = targets(leaf);
  const windowSeconds = "windowMs" in expression ? expression.windowMs / 1000 : 1;
  switch (expression.kind) {
    case "value":
      return [level(expression.of, rule, wanted)];
    case "share":
      return [
        level(expression.part, rule, scaled(wanted, 1000)),
        level(expression.whole, rule, { bad: 1000, good: 1000 }),
      ];
    case "slope":
      return [growing(expression.of, rule, scaled(wanted, stepSeconds), LEVEL_START)];
    case "rate":
      return [growing(expression.of, rule, scaled(wanted, stepSeconds))];
    case "increase":
      return [growing(expression.of, rule, scaled(wanted, stepSeconds / windowSeconds))];
    case "ratio": {
      const events = Math.max(EVENTS_IN_WINDOW, 4 * expression.minSamples);
      return ratioSeries(expression, rule, wanted, (events * stepSeconds) / windowSeconds);
    }
    default: {
      const events = Math.max(EVENTS_IN_WINDOW, 4 * expression.minSamples);
      return [quantileSeries(leaf, expression, rule, (events * stepSeconds) / windowSeconds)];
    }
  }
}

/** Values clearly on the bad side of the threshold and on the good side of the clear threshold. */
function targets({ comparison, threshold, hold }: Leaf): Wanted {
  const rises = comparison.startsWith(">");
  return rises
    ? { bad: larger(threshold), good: smaller(hold.threshold, hold.comparison === ">") }
    : { bad: smaller(threshold, true), good: larger(hold.threshold) };
}

/** Stays below 1 where it can: a part of a whole is not larger. */
function larger(threshold: number): number {
  if (threshold >= 0 && threshold < 1) return (threshold + 1) / 2;
  return threshold > 0 ? threshold * 2 : threshold / 2 + 1;
}

function smaller(threshold: number, zeroWillDo: boolean): number {
  if (threshold > 0 || (threshold === 0 && zeroWillDo)) return 0;
  return threshold * 2 - 1;
}

/** A series that is in the part and the whole has both roles; the rest of the whole fills it up. */
function ratioSeries(
  { part, whole }: Extract<Expression, { kind: "ratio" }>,
  rule: AlertRule,
  wanted: Wanted,
  perStep: number,
): readonly ScenarioSeries[] {
  const shared: AnySelector[] = [];
  const apart: AnySelector[] = [];
  for (const one of part) (isIn(whole, one, labelsFor(one, rule)) ? shared : apart).push(one);
  const rest = whole.filter((one) => !isIn(part, one, labelsFor(one, rule)));
  const share = scaled(wanted, perStep);
  const remainder = { bad: perStep - share.bad, good: perStep - share.good };
  const filled = shared.length > 0 ? remainder : { bad: perStep, good: perStep };
  const [first, ...others] = shared.length > 0 ? shared : apart;
  const none = { bad: 0, good: 0 };
  return [
    ...(first === undefined ? [] : [growing(first, rule, share)]),
    ...[...others, ...(shared.length > 0 ? apart : [])].map((one) => growing(one, rule, none)),
    ...rest.map((one, index) => growing(one, rule, index === 0 ? filled : none)),
  ];
}

function isIn(sides: readonly AnySelector[], selector: AnySelector, labels: Labels): boolean {
  return sides.some((side) => side.family === selector.family && matches(side, labels));
}

function quantileSeries(
  { comparison, threshold, hold }: Leaf,
  { of }: Extract<Expression, { kind: "quantile" }>,
  rule: AlertRule,
  perStep: number,
): ScenarioSeries {
  const low = Math.min(threshold, hold.threshold);
  const high = Math.max(threshold, hold.threshold);
  const bounds = [low / 4, low / 2, high * 2, high * 4, Infinity];
  const isLow = bounds.map((_, index) => (index === 0 ? 0 : 1));
  const isHigh = bounds.map((_, index) => (index < 3 ? 0 : 1));
  const rises = comparison.startsWith(">");
  const bucketShares = bounds.map((_, index) => ({
    bad: (rises ? isHigh : isLow)[index] as number,
    good: (rises ? isLow : isHigh)[index] as number,
  }));
  return { ...growing(of, rule, { bad: perStep, good: perStep }), bounds, bucketShares };
}

function level(selector: AnySelector, rule: AlertRule, { bad, good }: Wanted): ScenarioSeries {
  return { ...series(selector, rule), start: 0, bad, good, isLevel: true };
}

function growing(
  selector: AnySelector,
  rule: AlertRule,
  { bad, good }: Wanted,
  start = 0,
): ScenarioSeries {
  return { ...series(selector, rule), start, bad: exact(bad), good: exact(good), isLevel: false };
}

/** Sums of it have no rounding, so that a counter never seems to fall. */
function exact(gain: number): number {
  return Math.round(gain * GRAIN) / GRAIN;
}

function series(selector: AnySelector, rule: AlertRule) {
  const isHistogram = selector.type === "histogram";
  const bounds = isHistogram ? [Infinity] : [];
  const bucketShares = isHistogram ? [{ bad: 1, good: 1 }] : [];
  return { selector, labels: labelsFor(selector, rule), bounds, bucketShares };
}

/** Labels that the selector matches, and the same ones for every selector of a rule. */
function labelsFor({ labels }: AnySelector, { by }: AlertRule): Labels {
  const chosen: Record<string, string> = Object.fromEntries(by.map((name) => [name, "some"]));
  for (const [name, match] of Object.entries(labels)) {
    if (typeof match === "string") chosen[name] = match;
    else if ("oneOf" in match) chosen[name] = match.oneOf[0] as string;
    else chosen[name] = otherThan("not" in match ? [match.not] : match.noneOf);
  }
  return Object.fromEntries(Object.entries(chosen).filter(([, text]) => text !== ""));
}

function otherThan(texts: readonly string[]): string {
  let other = "some";
  while (texts.includes(other)) other += "_other";
  return other;
}

function moreExtreme(left: ScenarioSeries, right: ScenarioSeries): ScenarioSeries {
  const leftGap = Math.abs(left.bad - left.good);
  return leftGap >= Math.abs(right.bad - right.good) ? left : right;
}

function scaled({ bad, good }: Wanted, factor: number): Wanted {
  return { bad: bad * factor, good: good * factor };
}
