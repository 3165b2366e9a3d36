import { Alerts, above, defineRule, gauge, value } from "../src/alerts.ts";
import type {
  AlertEvent,
  AlertRule,
  AlertsOptions,
  Condition,
  RuleDefinition,
} from "../src/alerts.ts";
import { FakeSource, FakeTimers } from "./alert-support.ts";

export const SECOND_MS = 1000;

export function ruleWith(when: Condition, more: Partial<RuleDefinition> = {}): AlertRule {
  return defineRule({
    name: "Depth",
    severity: "warning",
    summary: "depth is {value}",
    description: "look",
    when,
    holdWithoutDataMs: 0,
    ...more,
  });
}

export const depthAbove = (threshold: number, options = {}): Condition =>
  above(value(gauge("depth")), threshold, options);

/** Alerts in fake time, one evaluation a second, with everything they said. */
export class Bench {
  readonly source = new FakeSource();
  readonly timers = new FakeTimers();
  readonly said: string[] = [];
  readonly events: AlertEvent[] = [];
  readonly alerts: Alerts;
  clockMs = 0;

  constructor(rules: AlertsOptions["rules"], options: Partial<AlertsOptions> = {}) {
    this.alerts = new Alerts(this.source, {
      rules,
      intervalMs: SECOND_MS,
      now: () => this.clockMs,
      date: () => Date.UTC(2026, 0, 1) + this.clockMs,
      schedule: this.timers.schedule,
      ...options,
    });
    for (const status of ["firing", "resolved"] as const) {
      this.alerts.on(status, (event) => {
        this.events.push(event);
        this.said.push(status);
      });
    }
  }

  /** A second later, with these depths; none for a family that is gone. */
  async depths(...values: readonly (number | undefined)[]): Promise<void> {
    for (const depth of values) {
      if (depth === undefined) this.source.families = {};
      else this.source.set("gauge", "depth", depth);
      await this.second();
    }
  }

  async counts(...values: readonly number[]): Promise<void> {
    for (const count of values) {
      this.source.set("counter", "jobs_total", count);
      await this.second();
    }
  }

  async second(): Promise<void> {
    this.clockMs += SECOND_MS;
    await this.alerts.evaluate();
  }

  get state(): string | undefined {
    return this.alerts.state()[0]?.state;
  }
}
