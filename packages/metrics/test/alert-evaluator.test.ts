import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import {
  Alerts,
  above,
  all,
  any,
  below,
  burnRateRules,
  counter,
  defineRule,
  gauge,
  histogram,
  increase,
  quantile,
  rate,
  ratio,
  slope,
  value,
} from "../src/alerts.ts";
import type { AlertEvent, AlertsOptions, Condition, RuleDefinition } from "../src/alerts.ts";
import { component, counter as counterFamily } from "./components.ts";
import { FakeSource, FakeTimers, settle } from "./alert-support.ts";

const SECOND_MS = 1000;

function ruleWith(when: Condition, more: Partial<RuleDefinition> = {}) {
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

const queued = (queue: string, depth: number) => ({ labels: { queue }, value: depth });

const depthAbove = (threshold: number, options = {}): Condition =>
  above(value(gauge("depth")), threshold, options);

/** Alerts in fake time, one evaluation a second, with everything they said. */
class Bench {
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

describe("alerts: one rule in the process", () => {
  test("it is inactive, pending, firing and resolved, and says so once each", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { forMs: 3 * SECOND_MS })]);
    expect(bench.state).toBe("no-data");
    await bench.depths(5);
    expect(bench.state).toBe("inactive");
    await bench.depths(11, 12, 13);
    expect(bench.state).toBe("pending");
    expect(bench.said).toEqual([]);
    await bench.depths(14);
    expect(bench.state).toBe("firing");
    await bench.depths(15, 16, 17);
    expect(bench.said).toEqual(["firing"]);
    await bench.depths(1, 1, 1);
    expect(bench.said).toEqual(["firing", "resolved"]);
    expect(bench.state).toBe("inactive");
  });

  test("a condition that ends before its time never fires", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { forMs: 3 * SECOND_MS })]);
    await bench.depths(11, 11, 11, 5, 11, 11, 11, 5);
    expect(bench.said).toEqual([]);
    expect(bench.state).toBe("inactive");
  });

  test("the event has labels, filled-in texts, both times and the same fingerprint", async () => {
    const rule = ruleWith(depthAbove(10), {
      runbook: "https://example.org/depth",
      labels: { team: "core" },
      by: ["queue"],
      description: "{queue} has {value}, {{ .Labels }} stays",
    });
    const bench = new Bench([rule]);
    bench.source.set("gauge", "depth", { labels: { queue: "mail" }, value: 12.3456 });
    await bench.second();
    bench.source.set("gauge", "depth", { labels: { queue: "mail" }, value: 1 });
    await bench.second();
    const [firing, resolved] = bench.events;
    expect(firing).toMatchObject({
      status: "firing",
      name: "Depth",
      severity: "warning",
      labels: { alertname: "Depth", severity: "warning", team: "core", queue: "mail" },
      annotations: {
        summary: "depth is 12.35",
        description: "mail has 12.35, {{ .Labels }} stays",
        runbook_url: "https://example.org/depth",
      },
      value: 12.3456,
      startsAtMs: Date.UTC(2026, 0, 1, 0, 0, 1),
      endsAtMs: undefined,
    });
    expect(resolved).toMatchObject({
      status: "resolved",
      fingerprint: firing?.fingerprint,
      startsAtMs: firing?.startsAtMs,
      endsAtMs: Date.UTC(2026, 0, 1, 0, 0, 2),
      reason: "condition",
    });
  });

  test("groups fire and resolve each on their own", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { by: ["queue"] })]);
    const set = (mail: number, fax: number): void => {
      bench.source.set("gauge", "depth", queued("mail", mail), queued("fax", fax));
    };
    for (const [mail, fax] of [
      [11, 1],
      [11, 11],
      [1, 11],
      [1, 1],
    ] as const) {
      set(mail, fax);
      await bench.second();
    }
    const seen = bench.events.map(({ status, labels }) => `${labels["queue"]} ${status}`);
    expect(seen).toEqual(["mail firing", "fax firing", "mail resolved", "fax resolved"]);
  });

  test("between the threshold and the clear threshold it neither begins nor ends", async () => {
    const bench = new Bench([ruleWith(depthAbove(10, { clearBelow: 5 }))]);
    await bench.depths(7, 7);
    expect(bench.state).toBe("inactive");
    await bench.depths(11, 7, 9, 5, 11, 7);
    expect(bench.said).toEqual(["firing"]);
    await bench.depths(4.9);
    expect(bench.said).toEqual(["firing", "resolved"]);
    await bench.depths(7);
    expect(bench.state).toBe("inactive");
  });

  test("what flaps within keepFiringMs stays one alert", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { keepFiringMs: 3 * SECOND_MS })]);
    await bench.depths(11, 1, 1, 11, 1, 1, 11, 1, 1, 1);
    expect(bench.said).toEqual(["firing"]);
    await bench.depths(1);
    expect(bench.said).toEqual(["firing", "resolved"]);
  });

  test("`all` needs every condition and `any` needs one", async () => {
    const lag = above(value(gauge("lag")), 1);
    const bench = new Bench([
      ruleWith(all(depthAbove(10), lag), { name: "Both" }),
      ruleWith(any(depthAbove(10), lag), { name: "Either" }),
    ]);
    const states = () => bench.alerts.state().map(({ state }) => state);
    bench.source.set("gauge", "lag", 0);
    await bench.depths(11);
    expect(states()).toEqual(["inactive", "firing"]);
    bench.source.set("gauge", "lag", 2);
    await bench.depths(11);
    expect(states()).toEqual(["firing", "firing"]);
    bench.source.families = {};
    bench.source.set("gauge", "lag", 2);
    await bench.second();
    expect(states()).toEqual(["no-data", "firing"]);
    bench.source.families = {};
    await bench.depths(11);
    expect(states()).toEqual(["no-data", "firing"]);
  });
});

describe("alerts: no data is never all right", () => {
  test("a family that was never there is no-data", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    await bench.depths(undefined, undefined);
    expect(bench.state).toBe("no-data");
    expect(bench.alerts.stats()).toMatchObject({ withoutData: 1, firing: 0 });
  });

  test("a firing alert whose family vanishes fires on for its hold and ends as no-data", async () => {
    const rule = ruleWith(depthAbove(10), { holdWithoutDataMs: 3 * SECOND_MS });
    const bench = new Bench([rule]);
    await bench.depths(11, undefined, undefined, undefined);
    expect(bench.state).toBe("firing");
    expect(bench.alerts.state()[0]?.alerts[0]).toMatchObject({ withoutData: true, value: 11 });
    await bench.depths(undefined);
    expect(bench.said).toEqual(["firing", "resolved"]);
    expect(bench.events.at(-1)?.reason).toBe("no-data");
    expect(bench.state).toBe("no-data");
  });

  test("data that return within the hold decide", async () => {
    const rule = ruleWith(depthAbove(10), { holdWithoutDataMs: 3 * SECOND_MS });
    const bench = new Bench([rule]);
    await bench.depths(11, undefined, 12, undefined, undefined, 1);
    expect(bench.said).toEqual(["firing", "resolved"]);
    expect(bench.events.at(-1)?.reason).toBe("condition");
  });

  test("a value that is not a number, and a family of another type, are no data", async () => {
    const bench = new Bench([ruleWith(below(value(gauge("depth")), 10))]);
    await bench.depths(NaN);
    expect(bench.state).toBe("no-data");
    bench.source.set("counter", "depth", 1);
    await bench.second();
    expect(bench.state).toBe("no-data");
  });

  test("too few events, and none at all, are no data", async () => {
    const hits = ratio(counter("jobs_total", { ok: "yes" }), counter("jobs_total"), {
      windowMs: 10 * SECOND_MS,
      minSamples: 20,
    });
    const bench = new Bench([ruleWith(below(hits, 0.5))]);
    const jobs = async (bad: number): Promise<void> => {
      bench.source.set("counter", "jobs_total", { labels: { ok: "no" }, value: bad });
      await bench.second();
    };
    for (const bad of [0, 0, 0, 4, 8]) await jobs(bad);
    expect(bench.state).toBe("no-data");
    for (const bad of [20, 40, 60]) await jobs(bad);
    expect(bench.state).toBe("firing");
  });
});

describe("alerts: windows", () => {
  const jobs = counter("jobs_total");
  const window = { windowMs: 10 * SECOND_MS };

  test("a counter that restarts is not taken for a fall", async () => {
    const bench = new Bench([ruleWith(above(rate(jobs, window), 100))]);
    await bench.counts(1000, 1010, 1020, 3, 13, 23, 33);
    expect(bench.said).toEqual([]);
    const full = rate(jobs, { ...window, minSamples: 10 });
    const slow = new Bench([ruleWith(below(full, 5))]);
    await slow.counts(...Array.from({ length: 15 }, (_, index) => 1000 + index * 10));
    await slow.counts(...Array.from({ length: 15 }, (_, index) => 3 + index * 10));
    expect(slow.state).toBe("inactive");
    expect(slow.said).toEqual([]);
  });

  test("one incident fires once and resolves once it has left the window", async () => {
    const bench = new Bench([ruleWith(above(increase(jobs, window), 0))]);
    await bench.counts(7, 7, 7, 8, 8, 8, 8, 8, 8, 8);
    expect(bench.said).toEqual(["firing"]);
    await bench.counts(8, 8, 8, 8, 8, 8);
    expect(bench.said).toEqual(["firing", "resolved"]);
  });

  test("a gauge that rises steadily has its slope, whatever its level", async () => {
    const bench = new Bench([ruleWith(above(slope(gauge("depth"), window), 4.9))]);
    await bench.depths(1e12, 1e12 + 5, 1e12 + 10, 1e12 + 15);
    expect(bench.said).toEqual(["firing"]);
    expect(bench.events[0]?.value).toBeCloseTo(5, 6);
  });

  test("minSamples keeps a slope of two read-outs from meaning anything", async () => {
    const steep = slope(gauge("depth"), { ...window, minSamples: 5 });
    const bench = new Bench([ruleWith(above(steep, 1))]);
    await bench.depths(0, 100, 200, 300);
    expect(bench.state).toBe("no-data");
    await bench.depths(400);
    expect(bench.state).toBe("firing");
  });

  test("a quantile is read from the buckets of the window, not of all time", async () => {
    using metrics = new Metrics({ runtime: false });
    const p90 = quantile(0.9, histogram("mcp_server_operation_duration_seconds"), window);
    let clockMs = 0;
    const alerts = new Alerts(metrics, {
      rules: [ruleWith(above(p90, 1))],
      intervalMs: SECOND_MS,
      now: () => clockMs,
    });
    const states: (string | undefined)[] = [];
    for (const durationSeconds of [
      0.01, 0.01, 0.01, 4, 4, 4, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01,
      0.01,
    ]) {
      for (let call = 0; call < 10; call += 1) {
        metrics.operations.record({ method: "ping", transport: "stdio", durationSeconds });
      }
      clockMs += SECOND_MS;
      await alerts.evaluate();
      states.push(alerts.state()[0]?.state);
    }
    expect(states.slice(0, 3)).toEqual(["no-data", "inactive", "inactive"]);
    expect(states.slice(3, 8)).toEqual(Array.from({ length: 5 }, () => "firing"));
    expect(states.at(-1)).toBe("inactive");
  });

  test("a budget that burns fires at 14.4 times its rate and not at 10 times", async () => {
    const seconds = { longMs: 60 * SECOND_MS, shortMs: 10 * SECOND_MS, rate: 14.4 };
    const [fast] = burnRateRules({
      name: "Jobs",
      subject: "jobs",
      objective: 0.99,
      bad: counter("bad_total"),
      total: counter("jobs_total"),
      fast: [seconds],
    });
    const bench = new Bench([fast!]);
    let bad = 0;
    const burn = async (times: number, rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        bad += times;
        bench.source.set("counter", "bad_total", bad);
        await bench.counts(100 * (bench.source.reads + 1));
      }
    };
    await burn(0, 60);
    await burn(10, 120);
    expect(bench.said).toEqual([]);
    await burn(20, 60);
    expect(bench.said).toEqual(["firing"]);
    await burn(0, 5);
    expect(bench.said).toEqual(["firing", "resolved"]);
  });
});

describe("alerts: clocks that are set", () => {
  const jobs = above(rate(counter("jobs_total"), { windowMs: 10 * SECOND_MS }), 100);

  test("a clock that is set back stops nothing", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { forMs: 3 * SECOND_MS })]);
    await bench.depths(11, 11);
    bench.clockMs -= 3_600_000;
    await bench.depths(11, 11);
    expect(bench.said).toEqual(["firing"]);
    await bench.depths(1);
    const [firing, resolved] = bench.events;
    expect(resolved?.endsAtMs).toBeGreaterThanOrEqual(firing?.startsAtMs ?? Infinity);
  });

  test("an end is never before its beginning", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    await bench.depths(11);
    bench.clockMs -= 3_600_000;
    await bench.depths(1);
    const [firing, resolved] = bench.events;
    expect(resolved?.endsAtMs).toBe(firing?.startsAtMs);
  });

  test("time that was skipped counts neither as waiting nor as missing data", async () => {
    const rule = ruleWith(depthAbove(10), {
      forMs: 10 * SECOND_MS,
      keepFiringMs: 10 * SECOND_MS,
      holdWithoutDataMs: 10 * SECOND_MS,
    });
    const bench = new Bench([rule]);
    await bench.depths(11, 11);
    bench.clockMs += 3_600_000;
    await bench.depths(11, 11);
    expect(bench.state).toBe("pending");
    await bench.depths(...Array.from({ length: 10 }, () => 11));
    expect(bench.state).toBe("firing");
    await bench.depths(undefined);
    bench.clockMs += 3_600_000;
    await bench.depths(undefined, 1);
    bench.clockMs += 3_600_000;
    await bench.depths(1);
    expect(bench.said).toEqual(["firing"]);
  });

  test("a rate over a jump is no burst, and a standing clock no division by zero", async () => {
    const bench = new Bench([ruleWith(jobs)]);
    await bench.counts(0, 10, 20);
    bench.clockMs += 3_600_000;
    await bench.counts(36_000, 36_010);
    bench.clockMs -= 7_200_000;
    await bench.counts(36_020, 36_030);
    for (const count of [36_040, 36_050]) {
      bench.clockMs -= SECOND_MS;
      await bench.counts(count);
    }
    expect(bench.said).toEqual([]);
  });
});

describe("alerts: what goes wrong", () => {
  test("metrics that cannot be read are no data, are counted and told", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { holdWithoutDataMs: 2 * SECOND_MS })]);
    const errors: unknown[] = [];
    bench.alerts.on("evaluationError", ({ error }) => errors.push(error));
    await bench.depths(11);
    bench.source.snapshot = async () => {
      throw new Error("closed");
    };
    await bench.second();
    expect(bench.state).toBe("firing");
    await bench.second();
    await bench.second();
    expect(bench.state).toBe("no-data");
    expect(errors).toHaveLength(3);
    expect(bench.alerts.stats()).toMatchObject({ evaluationErrors: 3, evaluations: 4 });
  });

  test("metrics that are never read do not hold up the next evaluation", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))], { snapshotTimeoutMs: 100 });
    bench.source.snapshot = () => new Promise(() => undefined);
    const codes: unknown[] = [];
    bench.alerts.on("evaluationError", ({ error }) => codes.push((error as { code: string }).code));
    const first = bench.alerts.evaluate();
    const joined = bench.alerts.evaluate();
    await bench.timers.advance(100);
    await Promise.all([first, joined]);
    expect(codes).toEqual(["METRICS_SNAPSHOT_TIMEOUT"]);
    expect(bench.timers.pending).toBe(0);
  });

  test("a listener that throws breaks nothing", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warned);
    bench.alerts.on("firing", () => {
      throw new Error("mine");
    });
    await bench.depths(11, 1);
    await settle();
    process.off("warning", warned);
    expect(bench.said).toEqual(["firing", "resolved"]);
    expect(warnings).toHaveLength(1);
  });

  test("a sink that throws, rejects or hangs is counted and concerns nobody else", async () => {
    const delivered: string[] = [];
    const bench = new Bench([ruleWith(depthAbove(10))], {
      sinkTimeoutMs: 500,
      maxQueued: 2,
      sinks: [
        {
          name: "throws",
          deliver: () => {
            throw new Error("no");
          },
        },
        { name: "hangs", deliver: () => new Promise(() => undefined) },
        { name: "works", deliver: ({ status }) => void delivered.push(status) },
      ],
    });
    const errors: string[] = [];
    bench.alerts.on("sinkError", ({ sink }) => errors.push(sink));
    await bench.depths(11, 1, 11, 1, 11);
    await settle();
    expect(delivered).toEqual(["firing", "resolved", "firing", "resolved", "firing"]);
    await bench.timers.advance(5_000);
    expect(errors.filter((sink) => sink === "throws")).toHaveLength(5);
    expect(errors.filter((sink) => sink === "hangs")).toHaveLength(3);
    const family = bench.alerts
      .metricFamilies()
      .find(({ name }) => name === "metrics_alert_notifications_total");
    const counts = Object.fromEntries(
      (family?.read() ?? []).map(({ value: count, labels }) => [
        `${labels?.["sink"]} ${labels?.["outcome"]}`,
        count,
      ]),
    );
    expect(counts).toMatchObject({
      "throws failed": 5,
      "hangs failed": 3,
      "hangs dropped": 2,
      "works delivered": 5,
    });
  });

  test("sinks come and go; those of one name are counted together", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    const delivered: string[] = [];
    const sinkOf = (id: string) => ({
      name: "mcp",
      deliver: ({ status }: AlertEvent) => void delivered.push(`${id} ${status}`),
      close: () => void delivered.push(`${id} closed`),
    });
    const first = bench.alerts.addSink(sinkOf("a"));
    await bench.depths(11);
    bench.alerts.addSink(sinkOf("b"));
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await bench.depths(1);
    expect(delivered).toEqual(["a firing", "a closed", "b resolved"]);
    await settle();
    const [, , family] = bench.alerts.metricFamilies();
    expect(family?.read()[0]).toEqual({
      value: 2,
      labels: { sink: "mcp", outcome: "delivered" },
    });
    expect(() => {
      for (let count = 0; count < 1001; count += 1) bench.alerts.addSink(sinkOf("c"));
    }).toThrow(expect.objectContaining({ code: "METRICS_INVALID_OPTION", option: "sinks" }));
    bench.alerts.close();
    expect(() => bench.alerts.addSink(sinkOf("d"))).toThrow(/closed/);
  });

  test("clocks that throw are counted", async () => {
    const date = (): number => {
      throw new Error("no date");
    };
    const bench = new Bench([ruleWith(depthAbove(10))], { date });
    await bench.depths(11, 11);
    expect(bench.alerts.stats()).toMatchObject({ evaluationErrors: 2, firing: 0 });
  });

  test("series and alerts beyond the limits are left out and counted", async () => {
    const bench = new Bench([ruleWith(depthAbove(10), { by: ["queue"] })], {
      maxSeries: 20,
      maxAlerts: 5,
    });
    const queues = Array.from({ length: 50 }, (_, index) => String(index));
    const all50 = queues.map((queue) => ({ labels: { queue }, value: 11 }));
    bench.source.set("gauge", "depth", ...all50);
    await bench.second();
    expect(bench.alerts.stats()).toMatchObject({ firing: 5, dropped: 30 + 15 });
  });
});

describe("alerts: the timer", () => {
  test("it evaluates at once and at each interval, until it is stopped", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    bench.alerts.start().start();
    await bench.timers.advance(3 * SECOND_MS);
    expect(bench.source.reads).toBe(4);
    expect(bench.alerts.stats().running).toBe(true);
    bench.alerts.stop();
    await bench.timers.advance(10 * SECOND_MS);
    expect(bench.source.reads).toBe(4);
    expect(bench.timers.pending).toBe(0);
  });

  test("closed alerts do nothing and say so", async () => {
    const bench = new Bench([ruleWith(depthAbove(10))]);
    let closed = 0;
    const sink = { name: "s", deliver: () => undefined, close: () => void (closed += 1) };
    const alerts = new Alerts(bench.source, { rules: [], sinks: [sink] });
    alerts.close();
    alerts.close();
    expect(closed).toBe(1);
    expect(() => alerts.start()).toThrow(
      expect.objectContaining({ code: "METRICS_ALERTS_CLOSED" }),
    );
    await expect(alerts.evaluate()).rejects.toMatchObject({ code: "METRICS_ALERTS_CLOSED" });
  });
});

describe("alerts: what they say about themselves", () => {
  test("metrics_alerts has every state of every rule, and the families can be collected", async () => {
    using metrics = new Metrics({ runtime: false });
    metrics.collect(component(counterFamily("jobs_total", () => 1)));
    let clockMs = 0;
    const alerts = new Alerts(metrics, {
      rules: [
        ruleWith(above(value(gauge("gone")), 1), { name: "Gone" }),
        ruleWith(above(value(gauge("metrics_alerts"), "max"), 0), { name: "Itself" }),
      ],
      now: () => (clockMs += SECOND_MS),
      intervalMs: SECOND_MS,
    });
    metrics.collect(alerts);
    await alerts.evaluate();
    const snapshot = await metrics.snapshot(new Set(["metrics_alerts"]));
    expect(Object.keys(snapshot)).toEqual(["metrics_alerts"]);
    const samples = snapshot["metrics_alerts"]?.samples ?? [];
    const nonZero = samples.filter((sample) => "value" in sample && sample.value > 0);
    expect(samples).toHaveLength(8);
    expect(nonZero.map(({ labels }) => `${labels["alertname"]} ${labels["alertstate"]}`)).toEqual([
      "Gone no-data",
      "Itself firing",
    ]);
    expect(alerts.stats()).toMatchObject({ rules: 2, firing: 1, withoutData: 1, evaluations: 1 });
  });
});
