import { promDuration, promqlOf } from "./alert-promql.ts";
import { PLACEHOLDER } from "./alert-rule-check.ts";
import type { AlertRule } from "./alert-rule.ts";
import { checkRules } from "./alert-options.ts";
import { toYaml } from "./alert-yaml.ts";
import type { YamlValue } from "./alert-yaml.ts";
import { InvalidOptionError } from "./errors.ts";

export interface PrometheusRulesOptions {
  /** Name of the group. Default `mcp-accel`. */
  readonly group?: string;
  /** Between two evaluations. Default: that of Prometheus. */
  readonly intervalMs?: number;
  /** Labels of the scrape that tell processes apart, added to those of each rule. Default `job` and `instance`. */
  readonly targetLabels?: readonly string[];
}

export const TARGET_LABELS: readonly string[] = ["job", "instance"];

/**
 * A rule file for Prometheus 2.42 or newer (`keep_firing_for`), with the same meaning as the evaluator in the process.
 * @throws InvalidOptionError, InvalidRuleError
 */
export function prometheusRules(
  rules: readonly AlertRule[],
  options: PrometheusRulesOptions = {},
): string {
  const { group = "mcp-accel", intervalMs, targetLabels = TARGET_LABELS } = options;
  checkRules(rules);
  if (typeof group !== "string" || group === "") {
    throw new InvalidOptionError("group", "a non-empty string", group);
  }
  if (intervalMs !== undefined && !(Number.isInteger(intervalMs) && intervalMs > 0)) {
    throw new InvalidOptionError("intervalMs", "whole milliseconds above 0", intervalMs);
  }
  const interval = intervalMs === undefined ? undefined : promDuration(intervalMs);
  const written = rules.map((rule) => ruleValue(rule, targetLabels));
  return toYaml({ groups: [{ name: group, interval, rules: written }] });
}

function ruleValue(rule: AlertRule, targetLabels: readonly string[]): YamlValue {
  const { name, severity, labels, forMs, keepFiringMs, summary, description, runbook } = rule;
  return {
    alert: name,
    expr: promqlOf(rule, targetLabels),
    for: forMs === 0 ? undefined : promDuration(forMs),
    keep_firing_for: keepFiringMs === 0 ? undefined : promDuration(keepFiringMs),
    labels: { severity, ...labels },
    annotations: {
      summary: template(summary),
      description: template(description),
      runbook_url: runbook === undefined ? undefined : literal(runbook),
    },
  };
}

/** `{value}` and `{label}` in the template language; everything else stays literal. */
function template(text: string): string {
  let written = "";
  let from = 0;
  for (const { 0: placeholder, 1: name, index } of text.matchAll(PLACEHOLDER)) {
    const expression = name === "value" ? "$value | humanize" : `$labels.${name}`;
    written += `${literal(text.slice(from, index))}{{ ${expression} }}`;
    from = index + placeholder.length;
  }
  return written + literal(text.slice(from));
}

function literal(text: string): string {
  return text.replaceAll("{{", '{{ "{{" }}');
}
