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
  defaultRules,
  gauge,
  histogram,
  increase,
  quantile,
  rate,
  ratio,
  slope,
  value,
} from "../src/alerts.ts";
import { Bench, SECOND_MS, depthAbove, ruleWith } from "./alert-bench.ts";

const queued = (queue: string, depth: number) => ({ labels: { queue }, value: depth });

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

  test.each([
    ["cancelled", "inactive"],
    ["TimeoutError", "firing"],
  ])("calls that end in %s leave the error budget %s", async (errorType, expected) => {
    let clockMs = 0;
    using metrics = new Metrics({ runtime: false });
    const [fast] = defaultRules().filter(({ name }) => name.startsWith("ToolErrors"));
    const alerts = new Alerts(metrics, {
      rules: [fast!],
      intervalMs: SECOND_MS,
      now: () => clockMs,
    });
    const call = { method: "tools/call", transport: "stdio", durationSeconds: 0.01 } as const;
    for (let round = 0; round < 130; round += 1) {
      metrics.operations.record(call);
      metrics.operations.record({ ...call, errorType });
      clockMs += 30 * SECOND_MS;
      await alerts.evaluate();
    }
    expect(alerts.state()[0]?.state).toBe(expected);
  });
});
