import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import type { DataPoint, Histogram, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import { metricProducer } from "../src/otel.ts";
import type { ProducerOptions } from "../src/otel.ts";
import { FakeCache, component, counter, gauge, labelled } from "./components.ts";
import { OtlpReceiver } from "./otlp-receiver.ts";
import type { OtlpMetric, OtlpPoint } from "./otlp-receiver.ts";
import { parseExposition } from "./parse-exposition.ts";
import type { ParsedSample } from "./parse-exposition.ts";

const SCOPE = "@mcp-accel/metrics";

/** A reader that is read by hand. */
class ManualReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

function readerOf(...metricProducers: MetricProducer[]): ManualReader {
  const reader = new ManualReader({ metricProducers });
  const provider = new MeterProvider({ readers: [reader] });
  provider.getMeter("app").createCounter("own").add(1);
  return reader;
}

async function collect(reader: ManualReader): Promise<{ found: MetricData[]; errors: unknown[] }> {
  const { resourceMetrics, errors } = await reader.collect();
  const scopes = resourceMetrics.scopeMetrics.filter(({ scope }) => scope.name === SCOPE);
  return { found: scopes.flatMap(({ metrics }) => metrics), errors };
}

function bridge(metrics: Metrics, options?: ProducerOptions): ManualReader {
  return readerOf(metricProducer(metrics, options));
}

function plainMetrics(): Metrics {
  return new Metrics({ runtime: false });
}

/** The points of one family, as unix milliseconds. */
async function pointsOf(reader: ManualReader, name: string) {
  const { found } = await collect(reader);
  const metric = found.find(({ descriptor }) => descriptor.name === name);
  const points = (metric?.dataPoints ?? []) as readonly DataPoint<number | Histogram>[];
  return points.map(({ startTime, endTime, attributes, value }) => ({
    start: unixMs(startTime),
    end: unixMs(endTime),
    attributes,
    value,
  }));
}

function unixMs([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1000 + nanoseconds / 1e6;
}

/** The name Prometheus gives an OTLP metric: illegal characters as underscores, then the unit, then the type. */
function prometheusName({ name, unit, sum, gauge: isGauge }: OtlpMetric): string {
  const suffixes: Record<string, string> = {
    s: "seconds",
    By: "bytes",
    ...(isGauge && { "1": "ratio" }),
  };
  let full = name.replaceAll(/[^a-zA-Z0-9_:]/g, "_");
  const suffix = suffixes[unit];
  if (suffix !== undefined && !full.split("_").includes(suffix)) full += `_${suffix}`;
  return sum?.isMonotonic === true && !full.endsWith("_total") ? `${full}_total` : full;
}

/** What Prometheus makes of an OTLP metric. */
function prometheusSamples(metric: OtlpMetric): readonly ParsedSample[] {
  const name = prometheusName(metric);
  const points = (metric.sum ?? metric.gauge ?? metric.histogram)?.dataPoints ?? [];
  return points.flatMap((point) => {
    const labels = labelsOf(point);
    if (metric.histogram === undefined) return [{ name, labels, value: point.asDouble ?? NaN }];
    let upTo = 0;
    const buckets = (point.bucketCounts ?? []).map((count, index) => ({
      name: `${name}_bucket`,
      labels: { ...labels, le: String(point.explicitBounds?.[index] ?? "+Inf") },
      value: (upTo += count),
    }));
    return [
      ...buckets,
      { name: `${name}_sum`, labels, value: point.sum ?? NaN },
      { name: `${name}_count`, labels, value: point.count ?? NaN },
    ];
  });
}

function labelsOf({ attributes }: OtlpPoint): Record<string, string> {
  const entries = attributes.map(({ key, value }) => [key.replaceAll(".", "_"), value.stringValue]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function sorted(samples: readonly ParsedSample[]): string[] {
  return samples
    .map(({ name, labels, value }) => {
      const entries = Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
      return JSON.stringify([name, entries, value]);
    })
    .toSorted();
}

/** A label without a value is none. */
function withoutEmpty({ labels, ...sample }: ParsedSample): ParsedSample {
  const present = Object.entries(labels).filter(([, value]) => value !== "");
  return { ...sample, labels: Object.fromEntries(present) };
}

/** What the real reader and exporter sent, after one flush. */
async function exported(receiver: OtlpReceiver, metrics: Metrics) {
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: receiver.url }),
    metricProducers: [metricProducer(metrics)],
  });
  const provider = new MeterProvider({ readers: [reader] });
  await provider.forceFlush();
  const families = receiver.families(SCOPE);
  await provider.shutdown();
  return { families };
}

describe("OpenTelemetry: an exporter over HTTP", () => {
  test("sends what a scrape at the same instant says", async () => {
    await using receiver = await OtlpReceiver.start();
    using metrics = plainMetrics();
    const cache = new FakeCache();
    metrics.collect(cache, { labels: { cache: "users" } });
    const bytes = { ...gauge("buffer_bytes", () => 4096), unit: "bytes" };
    const busy = { ...gauge("loop_busy_ratio", () => 0.25), unit: "ratio" };
    const spent = { ...counter("cpu_seconds_total", () => 1.5), unit: "seconds" };
    metrics.collect(
      component(
        bytes,
        busy,
        spent,
        labelled("gauge", "by", "kind", () => [["", 1]]),
      ),
    );
    cache.hits = 7;
    for (const seconds of [0.0005, 0.001, 0.3, 12])
      cache.emit("lookup", { seconds, outcome: "hit" });
    const call = {
      method: "tools/call",
      transport: "http",
      protocolVersion: "2025-11-25",
    } as const;
    metrics.operations.record({ ...call, tool: "search", durationSeconds: 0.3 });
    metrics.operations.record({
      ...call,
      tool: "x",
      durationSeconds: 900,
      errorType: "tool_error",
    });

    const { families } = await exported(receiver, metrics);
    const { body } = await metrics.exposition();
    const text = [...parseExposition(body, "prometheus").values()].flatMap(
      ({ samples }) => samples,
    );
    expect(sorted(families.flatMap(prometheusSamples))).toEqual(sorted(text.map(withoutEmpty)));
    expect(text.length).toBeGreaterThan(50);
  });

  test("names, units, types and help are those of OpenTelemetry", async () => {
    await using receiver = await OtlpReceiver.start();
    using metrics = new Metrics();
    metrics.operations.record({
      method: "tools/call",
      tool: "search",
      transport: "stdio",
      protocolVersion: "2025-11-25",
      errorType: "tool_error",
      durationSeconds: 0.02,
    });
    const { families } = await exported(receiver, metrics);
    const duration = families.find(({ name }) => name === "mcp.server.operation.duration");
    expect(duration).toMatchObject({
      unit: "s",
      description: "Time from receiving an MCP request or notification until it was answered",
      histogram: { aggregationTemporality: 2 },
    });
    expect(duration?.histogram?.dataPoints[0]?.attributes.map(({ key }) => key)).toEqual([
      "mcp.method.name",
      "gen_ai.tool.name",
      "error.type",
      "network.transport",
      "mcp.protocol.version",
    ]);
    const units = Object.fromEntries(families.map(({ name, unit }) => [name, unit]));
    expect(units).toMatchObject({
      process_cpu: "s",
      process_resident_memory: "By",
      nodejs_eventloop_utilization: "1",
      process_open_fds: "",
      mcp_server_tool_calls: "",
    });
    const cpu = families.find(({ name }) => name === "process_cpu");
    expect(cpu?.sum).toMatchObject({ aggregationTemporality: 2, isMonotonic: true });
  });

  test("times are nanoseconds since 1970, from the start of the process to now", async () => {
    await using receiver = await OtlpReceiver.start();
    using metrics = plainMetrics();
    metrics.collect(component(counter("jobs_total", () => 3)));
    const before = Date.now();
    const { families } = await exported(receiver, metrics);
    const [point] = families.find(({ name }) => name === "jobs")?.sum?.dataPoints ?? [];
    const nanos = Math.round(performance.timeOrigin * 1e3) * 1e3;
    expect(Math.abs(Number(point?.startTimeUnixNano) - nanos)).toBeLessThan(1e4);
    const endMs = Number(BigInt(point?.timeUnixNano ?? 0) / 1_000_000n);
    expect(endMs).toBeGreaterThanOrEqual(before);
    expect(endMs).toBeLessThanOrEqual(Date.now());
  });
});

describe("OpenTelemetry: the bridge", () => {
  test("a metric without points is not exported", async () => {
    using metrics = plainMetrics();
    metrics.collect(component(labelled("gauge", "things", "thing", () => [])));
    const { found } = await collect(bridge(metrics));
    expect(found.map(({ descriptor }) => descriptor.name)).not.toContain("things");
  });

  test("families that would share a short name keep their long ones", async () => {
    using metrics = plainMetrics();
    metrics.collect(
      component(
        { ...gauge("wait_seconds", () => 1), unit: "seconds" },
        { ...counter("wait_bytes_total", () => 2), unit: "bytes" },
        { ...gauge("load_seconds", () => 3), unit: "seconds" },
        gauge("load", () => 4),
        { ...gauge("_seconds", () => 5), unit: "seconds" },
        { ...gauge("queue_items", () => 6), unit: "items" },
        { ...gauge("load_seconds_seconds", () => 7), unit: "seconds" },
      ),
    );
    const { found } = await collect(bridge(metrics));
    const names = found.map(({ descriptor: { name, unit } }) => `${name} ${unit}`);
    expect(names.filter((name) => !/^mcp|^metrics/.test(name))).toEqual([
      "wait_seconds s",
      "wait_bytes_total By",
      "load_seconds s",
      "load ",
      "_seconds s",
      "queue_items {items}",
      "load_seconds_seconds s",
    ]);
  });

  test("a value that is not finite is left out and named among the errors", async () => {
    using metrics = plainMetrics();
    const values = { nan: NaN, most: Infinity, one: 1 };
    metrics.collect(component(labelled("gauge", "odd", "kind", () => Object.entries(values))));
    const { found, errors } = await collect(bridge(metrics));
    const odd = found.find(({ descriptor }) => descriptor.name === "odd");
    expect(odd?.dataPoints.map(({ attributes }) => attributes)).toEqual([{ kind: "one" }]);
    expect(errors).toEqual([
      expect.objectContaining({ code: "METRICS_INVALID_SAMPLE", family: "odd" }),
    ]);
  });

  test("closed metrics are an error of the collection and cost the SDK's own metrics nothing", async () => {
    const metrics = plainMetrics();
    const reader = bridge(metrics);
    metrics.close();
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([expect.objectContaining({ code: "METRICS_CLOSED" })]);
    expect(resourceMetrics.scopeMetrics.map(({ scope }) => scope.name)).toEqual(["app"]);
  });

  test.each<[string, unknown, unknown]>([
    ["metrics", {}, {}],
    ["metrics", undefined, {}],
    ["options", plainMetrics(), []],
    ["temporality", plainMetrics(), { temporality: "sometimes" }],
    ["now", plainMetrics(), { now: 5 }],
  ])("refuses wrong %s", (option, metrics, options) => {
    expect(() => metricProducer(metrics as never, options as never)).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option }),
    );
  });

  test("a clock that says nothing useful is an error of the collection", async () => {
    using metrics = plainMetrics();
    const { found, errors } = await collect(bridge(metrics, { now: () => NaN }));
    expect(found).toEqual([]);
    expect(errors).toEqual([expect.objectContaining({ option: "now()" })]);
  });
});

describe("OpenTelemetry: start times", () => {
  const origin = Math.floor(performance.timeOrigin);

  test("stay while a counter rises, and move to the last collection when it fell", async () => {
    using metrics = plainMetrics();
    let count = 5;
    let now = origin + 10_000;
    metrics.collect(component(counter("jobs_total", () => count)));
    const reader = bridge(metrics, { now: () => now });
    const [first] = await pointsOf(reader, "jobs");
    count = 9;
    now += 10_000;
    const [second] = await pointsOf(reader, "jobs");
    expect(second).toEqual({ ...first, end: now, value: 9 });
    count = 2;
    now += 10_000;
    const [third] = await pointsOf(reader, "jobs");
    expect(third).toMatchObject({ start: now - 10_000, end: now, value: 2 });
    now += 10_000;
    expect((await pointsOf(reader, "jobs"))[0]).toMatchObject({ start: now - 20_000, value: 2 });
  });

  test("a component that goes and comes back with more goes on where it was", async () => {
    using metrics = plainMetrics();
    const family = counter("jobs_total", () => 5);
    const reader = bridge(metrics);
    const collection = metrics.collect(component(family));
    const [first] = await pointsOf(reader, "jobs");
    collection[Symbol.dispose]();
    expect(await pointsOf(reader, "jobs")).toEqual([]);
    metrics.collect(component(family));
    expect((await pointsOf(reader, "jobs"))[0]?.start).toBe(first?.start);
  });

  test("no point begins after its end, wherever the clock jumps", async () => {
    using metrics = plainMetrics();
    let count = 5;
    let now = origin;
    metrics.collect(component(counter("jobs_total", () => count)));
    for (const temporality of ["cumulative", "delta"] as const) {
      const reader = bridge(metrics, { temporality, now: () => now });
      for (const jump of [1e9, -2e9, 5, -5, 3e9]) {
        now += jump;
        count = jump > 0 ? count + 1 : 0;
        const [point] = await pointsOf(reader, "jobs");
        expect(point?.end).toBe(now);
        expect(point?.start).toBeLessThanOrEqual(now);
      }
    }
  });

  test.each([
    [20, 0],
    [21, 1],
  ])("of 100 series that %i times gave way to others are remembered", async (rounds, delta) => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 10_000 });
    let round = 0;
    const others = () =>
      Array.from({ length: 100 }, (_, index) => [`${round}/${index}`, 1] as const);
    const read = () => [["always", 1] as const, ...others()];
    metrics.collect(component(labelled("counter", "jobs_total", "job", read)));
    const reader = bridge(metrics, { temporality: "delta" });
    for (round = 0; round <= rounds; round += 1) await collect(reader);
    round = 0;
    // One that is forgotten counts from nothing again: 2,000 that are gone are remembered.
    const points = await pointsOf(reader, "jobs");
    expect(points[1]?.value).toBe(delta);
    expect(points[0]).toMatchObject({ attributes: { job: "always" }, value: 0 });
  });
});

describe("OpenTelemetry: deltas", () => {
  test("are what was counted since the last collection, and add up", async () => {
    const step = fc.record({
      hits: fc.nat({ max: 9 }),
      restart: fc.boolean(),
      seconds: fc.array(fc.constantFrom(0.0005, 0.01, 0.5, 7), { maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        using metrics = plainMetrics();
        let now = performance.timeOrigin;
        let end = performance.timeOrigin;
        const reader = bridge(metrics, { temporality: "delta", now: () => now });
        const cache = new FakeCache();
        metrics.collect(cache);
        for (const { hits, restart, seconds } of steps) {
          now = Math.floor(now + 1000);
          const before = cache.hits;
          cache.hits = restart ? hits : before + hits;
          for (const value of seconds) cache.emit("lookup", { seconds: value, outcome: "hit" });
          const { found } = await collect(reader);
          const jobs = found.find(({ descriptor }) => descriptor.name === "fake_cache_hits");
          const [point] = (jobs?.dataPoints ?? []) as readonly DataPoint<number>[];
          expect(jobs?.aggregationTemporality).toBe(AggregationTemporality.DELTA);
          // A restart to no less than before cannot be told from more work.
          expect(point?.value).toBe(restart && hits < before ? hits : cache.hits - before);
          expect(unixMs(point?.startTime ?? [0, 0])).toBeCloseTo(end, 2);
          end = now;
          const lookups = found.find(
            ({ descriptor }) => descriptor.name === "fake_cache_lookup_duration",
          );
          if (lookups?.dataPointType !== DataPointType.HISTOGRAM) continue;
          const { value } = lookups.dataPoints[0] as DataPoint<Histogram>;
          expect(value.count).toBe(seconds.length);
          expect(value.sum).toBeCloseTo(
            seconds.reduce((total, own) => total + own, 0),
            9,
          );
          expect(value.buckets.counts.reduce((total, count) => total + count, 0)).toBe(value.count);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a family that could not be read once is not counted twice", async () => {
    using metrics = plainMetrics();
    let fails = false;
    const family = counter("jobs_total", () => {
      if (fails) throw new Error("busy");
      return 1000;
    });
    metrics.collect(component(family));
    const reader = bridge(metrics, { temporality: "delta" });
    expect((await pointsOf(reader, "jobs"))[0]?.value).toBe(1000);
    fails = true;
    expect(await pointsOf(reader, "jobs")).toEqual([]);
    fails = false;
    expect((await pointsOf(reader, "jobs"))[0]?.value).toBe(0);
  });
});
