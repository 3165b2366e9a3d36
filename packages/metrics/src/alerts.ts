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
export { prometheusRules } from "./alert-prometheus.ts";
export { promqlOf } from "./alert-promql.ts";
export { promtoolTests } from "./alert-promtool.ts";
export { defineRule } from "./alert-rule.ts";
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
export type { AlertSource, AlertsOptions } from "./alert-options.ts";
export type { PrometheusRulesOptions } from "./alert-prometheus.ts";
export type { PromtoolTestsOptions } from "./alert-promtool.ts";
export type { AlertState, AlertStateName, RuleState } from "./alert-rule-state.ts";
export type { AlertRule, AlertSeverity, RuleDefinition } from "./alert-rule.ts";
