import { checkRule } from "./alert-rule-check.ts";
import type { Condition } from "./alert-expressions.ts";

export type AlertSeverity = "info" | "warning" | "critical";

export const SEVERITIES: readonly AlertSeverity[] = ["info", "warning", "critical"];

export interface RuleDefinition {
  /** Letters, digits and `_`: the `alertname`. */
  readonly name: string;
  readonly severity: AlertSeverity;
  /** One line. `{value}` and `{label}` of `by` are filled in, here and in `description`. */
  readonly summary: string;
  /** What it means and what to look at. */
  readonly description: string;
  /** `http` or `https`. */
  readonly runbook?: string;
  readonly when: Condition;
  /** Labels that tell one alert of the rule from another. Default none: the rule has one alert. */
  readonly by?: readonly string[];
  /** How long the condition must hold before the alert fires. Default 0. */
  readonly forMs?: number;
  /** How long a firing alert goes on after the condition cleared. Default 0. */
  readonly keepFiringMs?: number;
  /** How long a firing alert whose data vanished goes on; no data is not an improvement. Default 10 minutes. */
  readonly holdWithoutDataMs?: number;
  /** More labels of the alert, for routing. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface AlertRule extends Required<Omit<RuleDefinition, "runbook">> {
  readonly runbook: string | undefined;
}

const DEFAULT_HOLD_MS = 600_000;

/**
 * A checked, frozen rule with its defaults filled in. It drives the evaluator in the process and everything that is generated.
 * @throws InvalidRuleError naming the first field that is wrong
 */
export function defineRule(definition: RuleDefinition): AlertRule {
  checkRule(definition);
  const { runbook, by = [], forMs = 0, keepFiringMs = 0, labels = {} } = definition;
  const { holdWithoutDataMs = DEFAULT_HOLD_MS } = definition;
  return deepFreeze({
    ...definition,
    runbook,
    by: [...by],
    forMs,
    keepFiringMs,
    holdWithoutDataMs,
    labels: { ...labels },
    when: structuredClone(definition.when),
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}
