import { ConditionEvaluation } from "./alert-condition.ts";
import type { Snapshot } from "./alert-evaluation.ts";
import type { Tick } from "./alert-clock.ts";
import { alertLabels, annotationsOf, fingerprintOf } from "./alert-event.ts";
import type { AlertEvent } from "./alert-event.ts";
import { comparisons, selectorsOf } from "./alert-expressions.ts";
import { AlertInstances } from "./alert-instances.ts";
import type { AlertInstance, Transition } from "./alert-instances.ts";
import type { AlertRule, AlertSeverity } from "./alert-rule.ts";
import type { TrackerLimits } from "./alert-tracker.ts";
import type { Labels } from "./family-table.ts";

export type AlertStateName = "inactive" | "pending" | "firing" | "no-data";

export const ALERT_STATES: readonly AlertStateName[] = ["inactive", "pending", "firing", "no-data"];

export interface AlertState {
  readonly state: "pending" | "firing";
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly fingerprint: string;
  readonly value: number;
  /** When it began to fire, in milliseconds since the epoch. */
  readonly startsAtMs: number | undefined;
  /** Fires on because its data vanished. */
  readonly withoutData: boolean;
}

export interface RuleState {
  readonly name: string;
  readonly severity: AlertSeverity;
  readonly summary: string;
  readonly runbook: string | undefined;
  /** The worst there is. `no-data`: nothing was read, which is not `inactive`. */
  readonly state: AlertStateName;
  readonly alerts: readonly AlertState[];
}

export interface RuleLimits extends TrackerLimits {
  readonly maxAlerts: number;
}

/** One rule in the process: what it has read, and its alerts. */
export class RuleEvaluation {
  readonly rule: AlertRule;
  readonly #condition: ConditionEvaluation;
  readonly #instances: AlertInstances;
  readonly #startsAtMs = new Map<string, number>();

  constructor(rule: AlertRule, limits: RuleLimits) {
    this.rule = rule;
    this.#condition = new ConditionEvaluation(rule.when, rule.by, limits);
    this.#instances = new AlertInstances(rule, limits.maxAlerts);
  }

  /** Series and alerts beyond the limits. */
  get dropped(): number {
    return this.#condition.dropped + this.#instances.dropped;
  }

  evaluate({ timeMs, unseenMs }: Tick, snapshot: Snapshot, dateMs: number): readonly AlertEvent[] {
    this.#instances.skip(unseenMs);
    const transitions = this.#instances.step(timeMs, this.#condition.update(timeMs, snapshot));
    return transitions.map((transition) => this.#event(transition, dateMs));
  }

  state(): RuleState {
    const { name, severity, summary, runbook } = this.rule;
    const alerts = this.#instances.instances.map((instance) => this.#alertState(instance));
    return { name, severity, summary, runbook, state: this.#stateName(), alerts };
  }

  /** How many alerts are in each state; the rule itself counts as inactive or without data. */
  counts(): Readonly<Record<AlertStateName, number>> {
    const counts = { inactive: 0, pending: 0, firing: 0, "no-data": 0 };
    for (const { state } of this.#instances.instances) counts[state] += 1;
    if (this.#instances.withoutData) counts["no-data"] = 1;
    else if (counts.pending + counts.firing === 0) counts.inactive = 1;
    return counts;
  }

  #stateName(): AlertStateName {
    const { pending, firing, inactive } = this.counts();
    if (firing > 0) return "firing";
    if (pending > 0) return "pending";
    return inactive > 0 ? "inactive" : "no-data";
  }

  #alertState({ state, labels: by, value, withoutData }: AlertInstance): AlertState {
    const labels = alertLabels(this.rule, by);
    const fingerprint = fingerprintOf(labels);
    const annotations = annotationsOf(this.rule, by, value);
    const startsAtMs = this.#startsAtMs.get(fingerprint);
    return { state, labels, annotations, fingerprint, value, startsAtMs, withoutData };
  }

  #event({ to, instance, reason }: Transition, dateMs: number): AlertEvent {
    const { name, severity } = this.rule;
    const labels = alertLabels(this.rule, instance.labels);
    const annotations = annotationsOf(this.rule, instance.labels, instance.value);
    const fingerprint = fingerprintOf(labels);
    const startsAtMs = this.#startsAtMs.get(fingerprint) ?? dateMs;
    if (to === "firing") this.#startsAtMs.set(fingerprint, startsAtMs);
    else this.#startsAtMs.delete(fingerprint);
    // A date that was set back must not end an alert before it began.
    const endsAtMs = to === "firing" ? undefined : Math.max(startsAtMs, dateMs);
    const { value } = instance;
    const what = { status: to, name, severity, labels, annotations, fingerprint, value, reason };
    return { ...what, startsAtMs, endsAtMs };
  }
}

/** Names of the families that rules read. */
export function familiesRead(rules: readonly AlertRule[]): ReadonlySet<string> {
  const expressions = rules.flatMap(({ when }) => comparisons(when).map((one) => one.expression));
  return new Set(expressions.flatMap(selectorsOf).map(({ family }) => family));
}
