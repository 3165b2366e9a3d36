import { InvalidRuleError } from "./alert-errors.ts";
import { above, all, any, ratio } from "./alert-expressions.ts";
import type { Condition, EventsSelector } from "./alert-expressions.ts";
import { defineRule } from "./alert-rule.ts";
import type { AlertRule, AlertSeverity, RuleDefinition } from "./alert-rule.ts";

export interface BurnWindow {
  readonly longMs: number;
  /** Lets the alert end soon after the burning did. A twelfth of `longMs` in the workbook. */
  readonly shortMs: number;
  /** How many times faster than allowed the budget is spent. */
  readonly rate: number;
}

export interface BurnRateOptions extends Pick<
  RuleDefinition,
  "runbook" | "by" | "labels" | "keepFiringMs" | "holdWithoutDataMs"
> {
  /** The rules are called `…BudgetBurnFast` and `…BudgetBurnSlow`. */
  readonly name: string;
  /** What the objective is about, for people: `tool calls without error`. */
  readonly subject: string;
  /** Part of the events that is to be good, such as 0.999. */
  readonly objective: number;
  readonly bad: EventsSelector | readonly EventsSelector[];
  readonly total: EventsSelector | readonly EventsSelector[];
  /** Events in the long window below which there is no data. Default 10. */
  readonly minSamples?: number;
  /** Default 1 h at 14.4 and 6 h at 6: 2 % and 5 % of what 30 days allow. */
  readonly fast?: readonly BurnWindow[];
  /** Default 3 d at 1: 10 % of what 30 days allow. */
  readonly slow?: readonly BurnWindow[];
  /** Default critical and warning. */
  readonly severities?: { readonly fast: AlertSeverity; readonly slow: AlertSeverity };
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const FAST: readonly BurnWindow[] = [
  { longMs: HOUR_MS, shortMs: 5 * MINUTE_MS, rate: 14.4 },
  { longMs: 6 * HOUR_MS, shortMs: 30 * MINUTE_MS, rate: 6 },
];
const SLOW: readonly BurnWindow[] = [{ longMs: 72 * HOUR_MS, shortMs: 6 * HOUR_MS, rate: 1 }];

/**
 * Two rules for one objective: to be woken for, and to be looked at. Each fires when its budget is spent too fast over a long window and
 * still is over a short one (Google, The Site Reliability Workbook, ch. 5, "Multiwindow, Multi-Burn-Rate Alerts", table 5-8).
 * @throws InvalidRuleError, also for an objective so low that a burn rate could never be reached
 */
export function burnRateRules(options: BurnRateOptions): readonly AlertRule[] {
  const { name, objective, fast = FAST, slow = SLOW } = options;
  const { severities = { fast: "critical", slow: "warning" } } = options;
  if (!(objective > 0 && objective < 1)) {
    throw new InvalidRuleError(name, "objective", "a number between 0 and 1", objective);
  }
  return [
    burnRule(options, `${name}BudgetBurnFast`, severities.fast, fast),
    burnRule(options, `${name}BudgetBurnSlow`, severities.slow, slow),
  ];
}

function burnRule(
  options: BurnRateOptions,
  name: string,
  severity: AlertSeverity,
  windows: readonly BurnWindow[],
): AlertRule {
  const { subject, objective, runbook, by, labels, keepFiringMs, holdWithoutDataMs } = options;
  const goal = `${Number((objective * 100).toPrecision(6))} % of ${subject}`;
  const optional = { runbook, by, labels, keepFiringMs, holdWithoutDataMs };
  const given = Object.entries(optional).filter(([, value]) => value !== undefined);
  return defineRule({
    ...Object.fromEntries(given),
    name,
    severity,
    summary: `Error budget is burning: ${goal}`,
    description: `{value} of the events failed. At this rate the budget for ${goal} is spent too early.`,
    when: any(...windows.map((window) => burning(options, name, window))),
  });
}

function burning(options: BurnRateOptions, name: string, window: BurnWindow): Condition {
  const { bad, total, objective, minSamples = 10 } = options;
  const threshold = Number(((1 - objective) * window.rate).toPrecision(12));
  if (!(threshold < 1)) {
    const expected = `an objective above ${1 - 1 / window.rate} for a burn rate of ${window.rate}`;
    throw new InvalidRuleError(name, "objective", expected, objective);
  }
  return all(
    above(ratio(bad, total, { windowMs: window.longMs, minSamples }), threshold),
    above(ratio(bad, total, { windowMs: window.shortMs }), threshold),
  );
}
