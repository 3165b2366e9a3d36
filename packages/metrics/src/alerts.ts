export { burnRateRules } from "./alert-burn-rate.ts";
export { defaultRules } from "./alert-defaults.ts";
export {
  AlertsClosedError,
  InvalidRuleError,
  SinkTimeoutError,
  SnapshotTimeoutError,
  UntestableRuleError,
  WebhookError,
} from "./alert-errors.ts";
export { Alerts } from "./alert-evaluator.ts";
export {
  above,
  all,
  any,
  below,
  counter,
  gauge,
  histogram,
  increase,
  quantile,
  rate,
  ratio,
  share,
  slope,
  value,
} from "./alert-expressions.ts";
export { grafanaDashboard } from "./alert-grafana.ts";
export { dashboardGroups } from "./alert-grafana-groups.ts";
export { familyReferences } from "./alert-references.ts";
export { ruleFiles } from "./alert-files.ts";
export { prometheusRules } from "./alert-prometheus.ts";
export { promqlOf } from "./alert-promql.ts";
export { promtoolTests } from "./alert-promtool.ts";
export { defineRule } from "./alert-rule.ts";
export { logSink, mcpLogSink } from "./alert-sinks.ts";
export { WebhookSink } from "./alert-webhook.ts";
export type { BurnRateOptions, BurnWindow } from "./alert-burn-rate.ts";
export type { DefaultRuleName, DefaultRulesOptions, RuleOverride } from "./alert-defaults.ts";
export type { AlertSink } from "./alert-dispatch.ts";
export type {
  AlertsEvents,
  AlertsStats,
  EvaluationErrorEvent,
  SinkErrorEvent,
} from "./alert-evaluator.ts";
export type { AlertEvent } from "./alert-event.ts";
export type { Condition, Expression, LabelMatch, Selector } from "./alert-expressions.ts";
export type { RuleFiles } from "./alert-files.ts";
export type { GrafanaOptions } from "./alert-grafana.ts";
export type { DashboardGroup, DashboardPanel, DashboardQuery } from "./alert-grafana-groups.ts";
export type { AlertSource, AlertsOptions } from "./alert-options.ts";
export type { PrometheusRulesOptions } from "./alert-prometheus.ts";
export type { PromtoolTestsOptions } from "./alert-promtool.ts";
export type { FamilyReference } from "./alert-references.ts";
export type { AlertState, AlertStateName, RuleState } from "./alert-rule-state.ts";
export type { AlertRule, AlertSeverity, RuleDefinition } from "./alert-rule.ts";
export type { LoggingServer, LogLevel, McpLogSinkOptions } from "./alert-sinks.ts";
export type { WebhookSinkStats } from "./alert-webhook.ts";
export type { WebhookSinkOptions } from "./alert-webhook-options.ts";
export type { WebhookAlert, WebhookMessage } from "./alert-webhook-shape.ts";
