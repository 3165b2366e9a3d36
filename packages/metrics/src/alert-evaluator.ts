import { EventEmitter } from "eventemitter3";
import { SteadyClock } from "./alert-clock.ts";
import type { Tick } from "./alert-clock.ts";
import { SinkDispatch } from "./alert-dispatch.ts";
import type { AlertSink, DeliveryCounts } from "./alert-dispatch.ts";
import { AlertsClosedError, SnapshotTimeoutError } from "./alert-errors.ts";
import type { AlertEvent } from "./alert-event.ts";
import type { Snapshot } from "./alert-evaluation.ts";
import { checkSink, resolveAlertsOptions } from "./alert-options.ts";
import type { AlertSource, AlertsOptions, ResolvedAlertsOptions } from "./alert-options.ts";
import { ALERT_STATES, RuleEvaluation, familiesRead } from "./alert-rule-state.ts";
import type { RuleState } from "./alert-rule-state.ts";
import { within } from "./alert-schedule.ts";
import { InvalidOptionError } from "./errors.ts";
import type { MetricSample, ScalarFamily } from "./metric-families.ts";
import { safely } from "./safe-emit.ts";

export interface EvaluationErrorEvent {
  /** Absent when the metrics could not be read at all. */
  readonly rule: string | undefined;
  readonly error: unknown;
}

export interface SinkErrorEvent {
  readonly sink: string;
  readonly error: unknown;
}

export interface AlertsEvents {
  firing: [event: AlertEvent];
  resolved: [event: AlertEvent];
  evaluationError: [event: EvaluationErrorEvent];
  sinkError: [event: SinkErrorEvent];
}

export interface AlertsStats {
  readonly rules: number;
  readonly pending: number;
  readonly firing: number;
  readonly withoutData: number;
  readonly evaluations: number;
  readonly evaluationErrors: number;
  /** Series and alerts left out of the last evaluation. */
  readonly dropped: number;
  readonly running: boolean;
}

const MAX_SINKS = 1000;
const MAX_SINK_NAMES = 100;

/** Evaluates alert rules over the metrics of this process, as Prometheus would, and tells sinks what begins and what ends. */
export class Alerts extends EventEmitter<AlertsEvents> implements Disposable {
  readonly #source: AlertSource;
  readonly #options: ResolvedAlertsOptions;
  readonly #clock: SteadyClock;
  readonly #rules: readonly RuleEvaluation[];
  readonly #families: ReadonlySet<string>;
  readonly #dispatches = new Set<SinkDispatch>();
  readonly #deliveries = new Map<string, DeliveryCounts>();
  readonly #errors = { snapshot: 0, rule: 0 };
  #evaluations = 0;
  #running: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed = false;

  /** @throws InvalidOptionError, InvalidRuleError */
  constructor(source: AlertSource, options: AlertsOptions) {
    super();
    if (typeof source?.snapshot !== "function") {
      throw new InvalidOptionError("source", "an object with snapshot(), such as Metrics", source);
    }
    this.#source = source;
    this.#options = resolveAlertsOptions(options);
    const { rules, now, intervalMs, sinks } = this.#options;
    this.#clock = new SteadyClock(now, intervalMs);
    this.#rules = rules.map((rule) => new RuleEvaluation(rule, this.#options));
    this.#families = familiesRead(rules);
    for (const sink of sinks) this.addSink(sink);
  }

  /** Evaluates now and every `intervalMs`, without keeping the process alive. */
  start(): this {
    if (this.#closed) throw new AlertsClosedError("start");
    if (this.#cancel === undefined) this.#tick();
    return this;
  }

  /**
   * Tells one more sink what begins and ends from now on, until the returned disposable is disposed; that closes it.
   * @throws InvalidOptionError for more than 1,000 sinks, or 100 names of sinks
   */
  addSink(sink: AlertSink): Disposable {
    if (this.#closed) throw new AlertsClosedError("addSink");
    checkSink(sink);
    const known = this.#deliveries.get(sink.name);
    const isOneTooMany = known === undefined && this.#deliveries.size >= MAX_SINK_NAMES;
    if (this.#dispatches.size >= MAX_SINKS || isOneTooMany) {
      const expected = `at most ${MAX_SINKS} sinks with ${MAX_SINK_NAMES} names`;
      throw new InvalidOptionError("sinks", expected, sink.name);
    }
    const counts = known ?? { delivered: 0, failed: 0, dropped: 0 };
    this.#deliveries.set(sink.name, counts);
    const { schedule, sinkTimeoutMs, maxQueued } = this.#options;
    const onError = (name: string, error: unknown): void =>
      safely(() => this.emit("sinkError", { sink: name, error }));
    const options = { schedule, timeoutMs: sinkTimeoutMs, maxQueued, onError };
    const dispatch = new SinkDispatch(sink, counts, options);
    this.#dispatches.add(dispatch);
    return {
      [Symbol.dispose]: () => {
        if (this.#dispatches.delete(dispatch)) dispatch.close();
      },
    };
  }

  /** Stops the timer; what was read and what fires stays. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Evaluates all rules once; joins an evaluation that is under way. Never rejects while open. */
  async evaluate(): Promise<void> {
    if (this.#closed) throw new AlertsClosedError("evaluate");
    this.#running ??= this.#evaluate().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  /** Every rule with its alerts, in the order of the rules. */
  state(): readonly RuleState[] {
    return this.#rules.map((rule) => rule.state());
  }

  stats(): AlertsStats {
    const total = { pending: 0, firing: 0, withoutData: 0, dropped: 0 };
    for (const rule of this.#rules) {
      const counts = rule.counts();
      total.pending += counts.pending;
      total.firing += counts.firing;
      total.withoutData += counts["no-data"];
      total.dropped += rule.dropped;
    }
    return {
      rules: this.#rules.length,
      ...total,
      evaluations: this.#evaluations,
      evaluationErrors: this.#errors.snapshot + this.#errors.rule,
      running: this.#cancel !== undefined,
    };
  }

  metricFamilies(): readonly ScalarFamily[] {
    return [
      {
        type: "gauge",
        name: "metrics_alerts",
        help: "Alerts of each rule, by state; a rule without alerts counts as inactive or no-data",
        unit: "",
        labels: ["alertname", "severity", "alertstate"],
        read: () => this.#rules.flatMap(alertSamples),
      },
      counterBy(
        "metrics_alert_evaluation_errors_total",
        "Evaluations that failed, by what failed",
        ["stage"],
        () => Object.entries(this.#errors).map(([stage, value]) => ({ value, labels: { stage } })),
      ),
      counterBy(
        "metrics_alert_notifications_total",
        "Events for sinks, by how they ended",
        ["sink", "outcome"],
        () => [...this.#deliveries].flatMap(notificationSamples),
      ),
      counterBy("metrics_alert_evaluations_total", "Evaluations of all rules", [], () => [
        { value: this.#evaluations },
      ]),
    ];
  }

  /** Stops for good. Events that wait for a sink are dropped. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stop();
    for (const dispatch of this.#dispatches) dispatch.close();
    this.#dispatches.clear();
    this.removeAllListeners();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #tick(): void {
    const { schedule, intervalMs } = this.#options;
    this.#cancel = schedule(() => {
      this.#tick();
    }, intervalMs);
    void this.evaluate();
  }

  async #evaluate(): Promise<void> {
    const snapshot = await this.#read();
    if (this.#closed) return;
    this.#evaluations += 1;
    try {
      this.#evaluateRules(snapshot, this.#clock.tick(), this.#options.date());
    } catch (error) {
      this.#failed("rule", error);
    }
  }

  #evaluateRules(snapshot: Snapshot, tick: Tick, dateMs: number): void {
    for (const evaluation of this.#rules) {
      try {
        for (const event of evaluation.evaluate(tick, snapshot, dateMs)) this.#announce(event);
      } catch (error) {
        this.#failed("rule", error, evaluation.rule.name);
      }
    }
  }

  /** What cannot be read is no data. */
  async #read(): Promise<Snapshot> {
    const { snapshotTimeoutMs, schedule } = this.#options;
    const onTimeout = () => new SnapshotTimeoutError(snapshotTimeoutMs);
    try {
      const reading = (async () => await this.#source.snapshot(this.#families))();
      return await within(reading, snapshotTimeoutMs, schedule, onTimeout);
    } catch (error) {
      this.#failed("snapshot", error);
      return {};
    }
  }

  #announce(event: AlertEvent): void {
    safely(() => this.emit(event.status, event));
    for (const dispatch of this.#dispatches) dispatch.send(event);
  }

  #failed(stage: "snapshot" | "rule", error: unknown, rule?: string): void {
    this.#errors[stage] += 1;
    safely(() => this.emit("evaluationError", { rule, error }));
  }
}

function alertSamples(evaluation: RuleEvaluation): readonly MetricSample[] {
  const { name: alertname, severity } = evaluation.rule;
  const counts = evaluation.counts();
  return ALERT_STATES.map((alertstate) => ({
    value: counts[alertstate],
    labels: { alertname, severity, alertstate },
  }));
}

function notificationSamples([sink, counts]: readonly [
  string,
  DeliveryCounts,
]): readonly MetricSample[] {
  return Object.entries(counts).map(([outcome, value]) => ({ value, labels: { sink, outcome } }));
}

function counterBy(
  name: string,
  help: string,
  labels: readonly string[],
  read: () => readonly MetricSample[],
): ScalarFamily {
  return { type: "counter", name, help, unit: "", labels, read };
}
