import type { AlertSink } from "./alert-dispatch.ts";
import { InvalidRuleError } from "./alert-errors.ts";
import type { AlertRule } from "./alert-rule.ts";
import { unrefSchedule } from "./alert-schedule.ts";
import type { Schedule } from "./alert-schedule.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";
import type { FamilySnapshot } from "./snapshot.ts";

/** What rules are evaluated over: `Metrics` is one. */
export interface AlertSource {
  snapshot(families?: ReadonlySet<string>): Promise<Readonly<Record<string, FamilySnapshot>>>;
}

export interface AlertsOptions {
  readonly rules: readonly AlertRule[];
  readonly sinks?: readonly AlertSink[];
  /** Between two evaluations. */
  readonly intervalMs?: number;
  /** How long reading the metrics may take before it counts as failed. */
  readonly snapshotTimeoutMs?: number;
  /** How long a sink may take for one event. */
  readonly sinkTimeoutMs?: number;
  /** Events that wait for a sink. */
  readonly maxQueued?: number;
  /** Series that one selector of a rule follows. */
  readonly maxSeries?: number;
  /** Read-outs of one series that are kept; a longer window has them further apart. */
  readonly maxPoints?: number;
  /** Alerts of one rule. */
  readonly maxAlerts?: number;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
  /** Milliseconds since the epoch, for `startsAtMs` and `endsAtMs` only. */
  readonly date?: () => number;
  readonly schedule?: Schedule;
}

export type ResolvedAlertsOptions = Required<AlertsOptions>;

const MAX_RULES = 200;
const MAX_SINK_NAME = 100;
const BOUNDS = {
  intervalMs: [15_000, 100, 3_600_000],
  snapshotTimeoutMs: [5_000, 10, 600_000],
  sinkTimeoutMs: [10_000, 10, 600_000],
  maxQueued: [100, 1, 100_000],
  maxSeries: [500, 1, 10_000],
  maxPoints: [120, 10, 10_000],
  maxAlerts: [100, 1, 10_000],
} as const;

/** @throws InvalidOptionError naming the first option that is wrong, InvalidRuleError for two rules of one name */
export function resolveAlertsOptions(options: AlertsOptions): ResolvedAlertsOptions {
  requireObject("options", options);
  const { rules, sinks = [] } = options;
  checkRules(rules);
  if (!Array.isArray(sinks)) throw new InvalidOptionError("sinks", "an array", sinks);
  for (const sink of sinks) checkSink(sink);
  const { now = () => performance.now(), date = Date.now, schedule = unrefSchedule } = options;
  for (const [name, callback] of Object.entries({ now, date, schedule })) {
    if (typeof callback !== "function") throw new InvalidOptionError(name, "a function", callback);
  }
  const numbers = Object.entries(BOUNDS).map(([name, bounds]) => [
    name,
    bounded(name, options[name as keyof typeof BOUNDS] ?? bounds[0], bounds),
  ]);
  const limits = Object.fromEntries(numbers) as Record<keyof typeof BOUNDS, number>;
  return { ...limits, rules: [...rules], sinks: [...sinks], now, date, schedule };
}

/** @throws InvalidOptionError */
export function checkSink(sink: AlertSink): void {
  const { name, deliver } = (sink ?? {}) as Partial<AlertSink>;
  const isNamed = typeof name === "string" && name !== "" && name.length <= MAX_SINK_NAME;
  if (!isNamed || typeof deliver !== "function") {
    throw new InvalidOptionError("sinks", "objects with a name and deliver()", sink);
  }
}

/** @throws InvalidOptionError, InvalidRuleError */
export function checkRules(rules: readonly AlertRule[]): void {
  if (!Array.isArray(rules) || rules.length > MAX_RULES) {
    throw new InvalidOptionError("rules", `at most ${MAX_RULES} rules of defineRule()`, rules);
  }
  const names = new Set<string>();
  for (const rule of rules) {
    if (typeof rule?.name !== "string" || !Object.isFrozen(rule)) {
      throw new InvalidOptionError("rules", "what defineRule() returned", rule);
    }
    if (names.has(rule.name)) {
      throw new InvalidRuleError(rule.name, "name", "a name of its own", rule.name);
    }
    names.add(rule.name);
  }
}

function bounded(
  name: string,
  value: number,
  [, min, max]: readonly [number, number, number],
): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new InvalidOptionError(name, `an integer from ${min} to ${max}`, value);
  }
  return value;
}
