import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import { Alerts, WebhookSink, above, counter, gauge, rate, value } from "../src/alerts.ts";
import type { AlertEvent } from "../src/alerts.ts";
import { component, counter as counterFamily } from "./components.ts";
import { Bench, SECOND_MS, depthAbove, ruleWith } from "./alert-bench.ts";
import { settle } from "./alert-support.ts";

function noDate(): number {
  throw new Error("no date");
}

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
    const bench = new Bench([ruleWith(depthAbove(10))], { date: noDate });
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
  test("the families keep the contract of all components", async () => {
    const sink = { name: "s", deliver: () => undefined };
    const bench = new Bench([ruleWith(depthAbove(10))], { sinks: [sink] });
    const webhook = new WebhookSink({
      url: "http://a.example/",
      allowedOrigins: ["http://a.example"],
    });
    await bench.depths(11);
    const families = [...bench.alerts.metricFamilies(), ...webhook.metricFamilies()];
    expect(families).toHaveLength(5);
    for (const family of families) {
      const { name, type, help, labels } = family;
      expect(name).toMatch(/^metrics_alert[a-z_]+$/);
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(help).not.toBe("");
      const samples = family.read();
      expect(samples.length).toBeGreaterThan(0);
      for (const sample of samples) expect(Object.keys(sample.labels ?? {})).toEqual(labels);
    }
  });

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
