import { createHash } from "node:crypto";
import { PLACEHOLDER } from "./alert-rule-check.ts";
import type { AlertRule, AlertSeverity } from "./alert-rule.ts";
import type { Labels } from "./family-table.ts";

/** An alert that began to fire, or ended. */
export interface AlertEvent {
  readonly status: "firing" | "resolved";
  readonly name: string;
  readonly severity: AlertSeverity;
  /** With `alertname` and `severity`: what Alertmanager routes and groups by. */
  readonly labels: Labels;
  /** `summary`, `description` and `runbook_url`, filled in. */
  readonly annotations: Labels;
  /** Of the labels: the same alert has the same, at any time and in any process. */
  readonly fingerprint: string;
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly startsAtMs: number;
  readonly endsAtMs: number | undefined;
  /** `no-data`: it ended because its data vanished for too long, not because anything got better. */
  readonly reason: "condition" | "no-data";
}

export function alertLabels(rule: AlertRule, by: Labels): Labels {
  return { alertname: rule.name, severity: rule.severity, ...rule.labels, ...by };
}

export function annotationsOf(rule: AlertRule, by: Labels, value: number): Labels {
  const fill = (text: string): string =>
    text.replaceAll(PLACEHOLDER, (_, name: string) =>
      name === "value" ? readable(value) : (by[name] ?? ""),
    );
  const texts = { summary: fill(rule.summary), description: fill(rule.description) };
  return rule.runbook === undefined ? texts : { ...texts, runbook_url: rule.runbook };
}

export function fingerprintOf(labels: Labels): string {
  const entries = Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(entries)).digest("hex").slice(0, 16);
}

function readable(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
