import { defaultRules } from "./alert-defaults.ts";
import { grafanaDashboard } from "./alert-grafana.ts";
import { prometheusRules } from "./alert-prometheus.ts";
import { promtoolTests } from "./alert-promtool.ts";
import type { AlertRule } from "./alert-rule.ts";

export interface RuleFiles {
  readonly "rules.yaml": string;
  readonly "rules.test.yaml": string;
  readonly "dashboard.json": string;
}

/** The rule file, its unit tests and the dashboard, by file name. Throws like the functions that make them. */
export function ruleFiles(rules: readonly AlertRule[] = defaultRules()): RuleFiles {
  return {
    "rules.yaml": prometheusRules(rules),
    "rules.test.yaml": promtoolTests(rules, { ruleFile: "rules.yaml" }),
    "dashboard.json": `${JSON.stringify(grafanaDashboard({ rules }), null, 2)}\n`,
  };
}
