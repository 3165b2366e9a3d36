import type { Verdicts } from "./alert-condition.ts";
import type { AlertRule } from "./alert-rule.ts";
import type { Labels } from "./family-table.ts";

/** One alert of a rule that is not inactive. */
export interface AlertInstance {
  /** Those of the rule's `by`. */
  readonly labels: Labels;
  readonly state: "pending" | "firing";
  /** The last value there was. */
  readonly value: number;
  /** Since when the condition is true; evaluator time. */
  readonly activeMs: number;
  /** Whether the last evaluation had no data for it. */
  readonly withoutData: boolean;
}

export interface Transition {
  readonly to: "firing" | "resolved";
  readonly key: string;
  readonly instance: AlertInstance;
  /** `no-data`: its data vanished and did not return in time. */
  readonly reason: "condition" | "no-data";
}

interface Tracked {
  readonly labels: Labels;
  activeMs: number;
  state: "pending" | "firing";
  value: number;
  lastDataMs: number;
  withoutData: boolean;
  /** Since when nothing but `keepFiringMs` keeps it. */
  clearedMs: number | undefined;
}

/**
 * The alerts of one rule: inactive, pending, firing and back. As in Prometheus, an alert fires in the evaluation in which its condition
 * has held for `forMs`, and one that cleared goes on for `keepFiringMs`. In addition the clear threshold holds what fires, and so do
 * missing data, for `holdWithoutDataMs`.
 */
export class AlertInstances {
  readonly #rule: AlertRule;
  readonly #maxAlerts: number;
  readonly #tracked = new Map<string, Tracked>();
  #withoutData = true;
  #dropped = 0;

  constructor(rule: AlertRule, maxAlerts: number) {
    this.#rule = rule;
    this.#maxAlerts = maxAlerts;
  }

  /** Whether the last evaluation had no data at all. */
  get withoutData(): boolean {
    return this.#withoutData;
  }

  get instances(): readonly AlertInstance[] {
    return [...this.#tracked.values()];
  }

  /** Alerts beyond the limit at the last evaluation. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Time in which nothing was seen does not count for or against any alert. */
  skip(unseenMs: number): void {
    if (unseenMs <= 0) return;
    for (const tracked of this.#tracked.values()) {
      tracked.activeMs += unseenMs;
      tracked.lastDataMs += unseenMs;
      if (tracked.clearedMs !== undefined) tracked.clearedMs += unseenMs;
    }
  }

  step(timeMs: number, verdicts: Verdicts): readonly Transition[] {
    this.#withoutData = verdicts.size === 0;
    this.#dropped = 0;
    for (const [key, { isTrue, labels, value }] of verdicts) {
      if (isTrue && !this.#tracked.has(key)) this.#begin(timeMs, key, labels, value);
    }
    return [...this.#tracked.keys()].flatMap((key) => this.#advance(timeMs, key, verdicts));
  }

  #begin(timeMs: number, key: string, labels: Labels, value: number): void {
    if (this.#tracked.size >= this.#maxAlerts) {
      this.#dropped += 1;
      return;
    }
    this.#tracked.set(key, {
      labels,
      activeMs: timeMs,
      state: "pending",
      value,
      lastDataMs: timeMs,
      withoutData: false,
      clearedMs: undefined,
    });
  }

  #advance(timeMs: number, key: string, verdicts: Verdicts): readonly Transition[] {
    const tracked = this.#tracked.get(key) as Tracked;
    const verdict = verdicts.get(key);
    tracked.withoutData = verdict === undefined;
    if (verdict !== undefined) {
      tracked.lastDataMs = timeMs;
      tracked.value = verdict.value;
    }
    if (this.#goesOn(timeMs, tracked, verdict)) {
      tracked.clearedMs = undefined;
      if (tracked.state === "firing" || timeMs - tracked.activeMs < this.#rule.forMs) return [];
      tracked.state = "firing";
      return [{ to: "firing", key, instance: { ...tracked }, reason: "condition" }];
    }
    if (tracked.state === "firing") {
      tracked.clearedMs ??= timeMs;
      if (timeMs - tracked.clearedMs < this.#rule.keepFiringMs) return [];
    }
    this.#tracked.delete(key);
    if (tracked.state === "pending") return [];
    const reason = tracked.withoutData ? "no-data" : "condition";
    return [{ to: "resolved", key, instance: { ...tracked }, reason }];
  }

  #goesOn(
    timeMs: number,
    { state, lastDataMs }: Tracked,
    verdict: { readonly isTrue: boolean; readonly holds: boolean } | undefined,
  ): boolean {
    if (verdict?.isTrue === true) return true;
    if (state !== "firing") return false;
    if (verdict !== undefined) return verdict.holds;
    const { holdWithoutDataMs } = this.#rule;
    return holdWithoutDataMs > 0 && timeMs - lastDataMs <= holdWithoutDataMs;
  }
}
