import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import type { MetricFamily } from "../src/index.ts";
import { FakeCache, component, gauge, scrape } from "./components.ts";

const UNITS = ["", "seconds", "bytes", "ratio"];

describe("metrics: the snapshot", () => {
  test("it has every family with its samples", async () => {
    using metrics = new Metrics({ runtime: false, labels: { service: "shop" } });
    const cache = new FakeCache();
    metrics.collect(cache, { labels: { cache: "users" } });
    cache.hits = 2;
    cache.emit("lookup", { seconds: 0.005, outcome: "hit" });
    cache.emit("lookup", { seconds: 5, outcome: "hit" });
    const snapshot = await metrics.snapshot();
    expect(Object.keys(snapshot)).toEqual([...(await scrape(metrics)).keys()]);
    expect(snapshot["fake_cache_hits_total"]).toEqual({
      type: "counter",
      help: "fake_cache_hits_total",
      unit: "",
      samples: [{ labels: { cache: "users", service: "shop" }, value: 2 }],
    });
    expect(snapshot["fake_cache_lookup_duration_seconds"]).toMatchObject({
      type: "histogram",
      unit: "seconds",
      samples: [
        {
          labels: { outcome: "hit", cache: "users", service: "shop" },
          count: 2,
          sum: 5.005,
          buckets: { "0.001": 0, "0.01": 1, "1": 1, "+Inf": 2 },
        },
      ],
    });
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });
});

describe("metrics: closing", () => {
  test("everything is let go and refused from then on", async () => {
    const metrics = new Metrics();
    const cache = new FakeCache();
    const collection = metrics.collect(cache);
    metrics.on("collectError", () => undefined);
    metrics.close();
    expect(cache.listenerCount("lookup")).toBe(0);
    metrics.close();
    collection[Symbol.dispose]();
    expect(metrics.listenerCount("collectError")).toBe(0);
    expect(metrics.stats()).toMatchObject({ components: 0, closed: true });
    const closed = { code: "METRICS_CLOSED", name: "MetricsClosedError" };
    await expect(metrics.exposition()).rejects.toMatchObject(closed);
    await expect(metrics.snapshot()).rejects.toMatchObject(closed);
    expect(() => metrics.collect(cache)).toThrow(expect.objectContaining(closed));
    const late = { method: "ping", transport: "stdio", durationSeconds: 1 };
    expect(() => metrics.operations.record(late)).not.toThrow();
  });

  test("using closes", () => {
    let metrics: Metrics;
    {
      using scoped = new Metrics();
      metrics = scoped;
    }
    expect(metrics.stats().closed).toBe(true);
  });
});

describe("metrics: what they say about themselves", () => {
  test("stats are plain numbers", async () => {
    using metrics = new Metrics({ runtime: false });
    metrics.collect(component(gauge("depth", () => 1)));
    await metrics.exposition();
    expect(metrics.stats()).toEqual({
      components: 3,
      families: 8,
      scrapes: 1,
      collectErrors: 0,
      droppedSeries: 0,
      closed: false,
    });
  });

  test("the families keep the contract of all components", async () => {
    using metrics = new Metrics();
    const families: readonly MetricFamily[] = metrics.metricFamilies();
    for (const { name, help, unit, type } of families) {
      expect(name).toMatch(/^metrics_[a-z_]+$/);
      expect(help).not.toBe("");
      expect(UNITS).toContain(unit);
      expect(name.endsWith("_total")).toBe(type === "counter");
    }
    for (const [name, { unit, type }] of Object.entries(await metrics.snapshot())) {
      expect(UNITS).toContain(unit);
      const base = type === "counter" ? name.replace(/_total$/, "") : name;
      expect(base.endsWith(unit)).toBe(true);
    }
  });

  test("counters never fall from scrape to scrape, and declared labels are emitted", async () => {
    using metrics = new Metrics();
    metrics.collect(component(gauge("broken", () => "x" as never)));
    const totals = new Map<string, number>();
    for (let round = 0; round < 5; round += 1) {
      metrics.operations.record({
        method: "tools/call",
        tool: "a",
        transport: "stdio",
        durationSeconds: round,
      });
      for (const { type, samples } of (await scrape(metrics)).values()) {
        if (type === "gauge") continue;
        for (const sample of samples.filter(({ name: part }) => !part.endsWith("_bucket"))) {
          const key = `${sample.name}${JSON.stringify(sample.labels)}`;
          expect(sample.value).toBeGreaterThanOrEqual(totals.get(key) ?? 0);
          totals.set(key, sample.value);
        }
      }
    }
    for (const family of metrics.metricFamilies()) {
      for (const { labels = {} } of family.read()) {
        expect(Object.keys(labels)).toEqual(family.labels);
      }
    }
  });
});

test.each(["index.ts", "mcp.ts", "alerts.ts", "otel.ts"])("importing %s loads no SDK", (file) => {
  const entry = JSON.stringify(new URL(`../src/${file}`, import.meta.url).href);
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({
      load(url, context, next) {
        loaded.push(url);
        return next(url, context);
      },
    });
    await import(${entry});
    console.log(JSON.stringify(loaded));
  `;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script]);
  const loaded = JSON.parse(String(stdout)) as string[];
  expect(loaded.length).toBeGreaterThan(2);
  expect(loaded.filter((url) => /modelcontextprotocol|opentelemetry.sdk/.test(url))).toEqual([]);
});
