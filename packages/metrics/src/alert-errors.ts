import { MetricsError } from "./errors.ts";

/** `METRICS_INVALID_RULE`: the definition of an alert rule cannot mean anything; nothing was made of it. */
export class InvalidRuleError extends MetricsError {
  override readonly name = "InvalidRuleError";
  readonly rule: string;
  readonly field: string;

  constructor(rule: string, field: string, expected: string, received: unknown) {
    super(
      "METRICS_INVALID_RULE",
      `rule ${rule}, ${field}: expected ${expected}, got ${shown(received)}; correct the definition`,
    );
    this.rule = rule;
    this.field = field;
  }
}

/** `METRICS_UNTESTABLE_RULE`: no series could be constructed that makes the rule fire and resolve. */
export class UntestableRuleError extends MetricsError {
  override readonly name = "UntestableRuleError";
  readonly rule: string;

  constructor(rule: string, reason: string) {
    super(
      "METRICS_UNTESTABLE_RULE",
      `rule ${rule}: ${reason}; leave it out of promtoolTests() and write its test by hand`,
    );
    this.rule = rule;
  }
}

/** `METRICS_ALERTS_CLOSED`: the `Alerts` were closed. */
export class AlertsClosedError extends MetricsError {
  override readonly name = "AlertsClosedError";

  constructor(call: string) {
    super("METRICS_ALERTS_CLOSED", `${call}: these alerts are closed; create new Alerts`);
  }
}

/** `METRICS_SNAPSHOT_TIMEOUT`: the metrics were not read in time. Seen in `evaluationError` events. */
export class SnapshotTimeoutError extends MetricsError {
  override readonly name = "SnapshotTimeoutError";

  constructor(timeoutMs: number) {
    super("METRICS_SNAPSHOT_TIMEOUT", `the snapshot took longer than ${timeoutMs} ms`);
  }
}

/** `METRICS_SINK_TIMEOUT`: a sink did not settle in time. Seen in `sinkError` events. */
export class SinkTimeoutError extends MetricsError {
  override readonly name = "SinkTimeoutError";

  constructor(sink: string, timeoutMs: number) {
    super("METRICS_SINK_TIMEOUT", `sink ${sink}: no answer within ${timeoutMs} ms`);
  }
}

/** `METRICS_WEBHOOK_FAILED`: a webhook was given up. Seen in `sinkError` events. */
export class WebhookError extends MetricsError {
  override readonly name = "WebhookError";
  /** The last answer, when there was one. */
  readonly status: number | undefined;

  constructor(origin: string, reason: string, status?: number, options?: ErrorOptions) {
    super("METRICS_WEBHOOK_FAILED", `webhook ${origin}: ${reason}`, options);
    this.status = status;
  }
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
