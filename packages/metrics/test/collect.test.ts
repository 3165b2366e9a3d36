import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import type {
  CollectErrorEvent,
  HistogramFamily,
  MetricFamily,
  ScalarFamily,
} from "../src/index.ts";
import {
  FakeCache,
  component,
  counter,
  countsOf,
  gauge,
  labelled,
  lookupDuration,
  samplesOf,
  scrape,
} from "./components.ts";

const DURATION = "fake_cache_lookup_duration_seconds";

function emitting(family: MetricFamily): FakeCache {
  return Object.assign(new FakeCache(), { metricFamilies: () => [family] });
}

function plainMetrics(): Metrics {
  return new Metrics({ runtime: false });
}

describe("collection: components", () => {
  test("a scalar is read at the scrape and not before", async () => {
    using metrics = plainMetrics();
    let reads = 0;
    metrics.collect(component(gauge("queue_depth", () => (reads += 1))));
    expect(reads).toBe(0);
    await metrics.exposition();
    expect(reads).toBe(1);
  });

  test("counters cost their component nothing: it is not listened to, wrapped or changed", async () => {
    using metrics = plainMetrics();
    const touched: PropertyKey[] = [];
    const jobs = { done: 0, on: () => undefined, off: () => undefined };
    const families = [counter("jobs_total", () => jobs.done)];
    const watched = new Proxy(
      { ...jobs, metricFamilies: () => families },
      {
        get: (target, key) => (touched.push(key), Reflect.get(target, key)),
        set: (_, key) => (touched.push(key), false),
        defineProperty: (_, key) => (touched.push(key), false),
      },
    );
    metrics.collect(watched);
    jobs.done += 1;
    expect(await samplesOf(metrics, "jobs_total")).toMatchObject([{ value: 1 }]);
    expect([...new Set(touched)]).toEqual(["metricFamilies"]);
  });

  test("a histogram takes what the component emits", async () => {
    using metrics = plainMetrics();
    const cache = new FakeCache();
    metrics.collect(cache);
    cache.emit("lookup", { seconds: 0.001, outcome: "hit" });
    cache.emit("lookup", { seconds: 0.5, outcome: "hit" });
    cache.emit("lookup", { seconds: 9, outcome: "miss" });
    const samples = await samplesOf(metrics, DURATION);
    const hits = samples.filter(({ labels }) => labels["outcome"] === "hit");
    expect(hits.map(({ value }) => value)).toEqual([1, 1, 2, 2, 0.501, 2]);
    expect(await countsOf(metrics, DURATION, "outcome")).toEqual({ hit: 2, miss: 1 });
  });

  test("two components of one kind live together under other constant labels", async () => {
    using metrics = plainMetrics();
    const [users, orders] = [new FakeCache(), new FakeCache()];
    metrics.collect(users, { labels: { cache: "users" } });
    metrics.collect(orders, { labels: { cache: "orders" } });
    users.hits = 3;
    orders.hits = 5;
    expect(await samplesOf(metrics, "fake_cache_hits_total")).toEqual([
      { name: "fake_cache_hits_total", labels: { cache: "users" }, value: 3 },
      { name: "fake_cache_hits_total", labels: { cache: "orders" }, value: 5 },
    ]);
  });

  test("the same labels twice are refused and nothing of the second is left", async () => {
    using metrics = plainMetrics();
    metrics.collect(new FakeCache(), { labels: { cache: "a", zone: "1" } });
    const second = new FakeCache();
    expect(() => metrics.collect(second, { labels: { zone: "1", cache: "a" } })).toThrow(
      expect.objectContaining({
        code: "METRICS_ALREADY_COLLECTED",
        family: "fake_cache_hits_total",
        message: expect.stringContaining("pass other labels"),
      }),
    );
    expect(second.listenerCount("lookup")).toBe(0);
    expect(await samplesOf(metrics, "fake_cache_hits_total")).toHaveLength(1);
  });

  test("disposing takes the series and the listener away, and a second time does nothing", async () => {
    using metrics = plainMetrics();
    const cache = new FakeCache();
    const collection = metrics.collect(cache);
    collection[Symbol.dispose]();
    expect(cache.listenerCount("lookup")).toBe(0);
    expect((await scrape(metrics)).has("fake_cache_hits_total")).toBe(false);
    const again = metrics.collect(cache);
    collection[Symbol.dispose]();
    expect((await scrape(metrics)).has("fake_cache_hits_total")).toBe(true);
    again[Symbol.dispose]();
    expect(metrics.stats().components).toBe(2);
  });

  test("a component's label wins over a label of the same name for all", async () => {
    using metrics = new Metrics({ runtime: false, labels: { zone: "all", service: "shop" } });
    metrics.collect(component(gauge("depth", () => 1)), { labels: { zone: "one" } });
    const [sample] = await samplesOf(metrics, "depth");
    expect(sample?.labels).toEqual({ zone: "one", service: "shop" });
  });

  test("a histogram without labels has its series from the start", async () => {
    using metrics = plainMetrics();
    const cache = new FakeCache();
    const family: HistogramFamily = { ...lookupDuration, labels: [] };
    cache.metricFamilies = () => [family];
    metrics.collect(cache);
    expect(await countsOf(metrics, DURATION, "outcome")).toEqual({ "": 0 });
    cache.emit("lookup", { seconds: 1, outcome: "hit" });
    expect(await countsOf(metrics, DURATION, "outcome")).toEqual({ "": 1 });
  });
});

describe("collection: a component that fails", () => {
  test("is left out of the scrape, counted and announced", async () => {
    using metrics = plainMetrics();
    const events: CollectErrorEvent[] = [];
    metrics.on("collectError", (event) => events.push(event));
    const broken = gauge("broken", () => {
      throw new Error("no");
    });
    metrics.collect(
      component(
        broken,
        gauge("sound", () => 7),
      ),
    );
    const { body } = await metrics.exposition();
    expect(body).toContain("sound 7");
    expect(body).not.toMatch(/^broken /m);
    expect(events).toEqual([{ family: "broken", error: expect.any(Error) }]);
    expect(await samplesOf(metrics, "metrics_collect_errors_total")).toEqual([
      { name: "metrics_collect_errors_total", labels: { family: "broken" }, value: 2 },
    ]);
  });

  test.each<[string, Partial<ScalarFamily>]>([
    ["no samples at all", { read: () => undefined as never }],
    ["a value that is no number", { read: () => [{ value: "1" as never }] }],
    ["a counter below 0", { read: () => [{ value: -1 }] }],
    ["a counter that is not finite", { read: () => [{ value: Infinity }] }],
    ["a label it did not declare", { read: () => [{ value: 1, labels: { other: "x" } }] }],
    ["two samples without labels", { read: () => [{ value: 1 }, { value: 2 }] }],
    ["a declared label missing", { labels: ["kind"], read: () => [{ value: 1 }] }],
    [
      "a label value that is no string",
      { labels: ["kind"], read: () => [{ value: 1, labels: { kind: 5 as never } }] },
    ],
    [
      "a series twice",
      {
        labels: ["kind"],
        read: () => [
          { value: 1, labels: { kind: "x" } },
          { value: 1, labels: { kind: "x" } },
        ],
      },
    ],
  ])("%s", async (_, wrong) => {
    using metrics = plainMetrics();
    metrics.collect(component({ ...counter("wrong_total", () => 1), ...wrong }));
    expect(await samplesOf(metrics, "wrong_total")).toEqual([]);
    expect(metrics.stats().collectErrors).toBe(2);
  });

  test("an observation that cannot be taken never reaches the component", async () => {
    using metrics = plainMetrics();
    const cache = new FakeCache();
    metrics.collect(cache);
    expect(() => cache.emit("lookup", undefined as never)).not.toThrow();
    cache.emit("lookup", { seconds: NaN, outcome: "hit" });
    cache.emit("lookup", { seconds: 1, outcome: "hit" });
    expect(await countsOf(metrics, DURATION, "outcome")).toEqual({ hit: 1 });
    expect(metrics.stats().collectErrors).toBe(2);
  });

  test("a listener of collectError that throws does not break the scrape", async () => {
    using metrics = plainMetrics();
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on("warning", listen);
    metrics.on("collectError", () => {
      throw new Error("listener");
    });
    metrics.collect(
      component(
        gauge("broken", () => "x" as never),
        gauge("sound", () => 7),
      ),
    );
    expect((await metrics.exposition()).body).toContain("sound 7");
    await new Promise(setImmediate);
    process.off("warning", listen);
    expect(warnings).toEqual([expect.objectContaining({ code: "METRICS_LISTENER" })]);
  });
});

describe("collection: families that do not fit", () => {
  const good = counter("good_total", () => 1);
  test.each<[string, Partial<Record<keyof HistogramFamily | "read", unknown>>]>([
    ["a name with a dot", { name: "a.b_total" }],
    ["no name", { name: undefined }],
    ["no help", { help: "" }],
    ["a type of its own", { type: "summary" }],
    ["a counter without _total", { name: "good" }],
    ["a gauge with _total", { type: "gauge" }],
    ["a unit that is not in the name", { unit: "seconds" }],
    ["a unit of other characters", { unit: "Seconds" }],
    ["labels that are no array", { labels: "kind" }],
    ["a reserved label", { labels: ["le"] }],
    ["a label twice", { labels: ["a", "a"] }],
    ["too many labels", { labels: Array.from({ length: 17 }, (_, index) => `l${index}`) }],
    ["no read", { read: undefined }],
  ])("%s", (_, wrong) => {
    using metrics = plainMetrics();
    const family = { ...good, ...wrong } as MetricFamily;
    expect(() => metrics.collect(component(family))).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_FAMILY" }),
    );
  });

  test.each<[string, Partial<Record<keyof HistogramFamily, unknown>>]>([
    ["no buckets", { buckets: [] }],
    ["falling buckets", { buckets: [2, 1] }],
    ["an infinite bucket", { buckets: [1, Infinity] }],
    ["a bucket that is no number", { buckets: [NaN] }],
    ["too many buckets", { buckets: Array.from({ length: 201 }, (_, index) => index) }],
    ["no event", { event: "" }],
    ["no value", { value: 1 }],
    ["the suffix of another type", { name: "x_bucket", unit: "" }],
  ])("a histogram with %s", (_, wrong) => {
    using metrics = plainMetrics();
    const cache = new FakeCache();
    cache.metricFamilies = () => [{ ...lookupDuration, ...wrong } as MetricFamily];
    expect(() => metrics.collect(cache)).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_FAMILY" }),
    );
  });

  test("a histogram of a component that emits nothing", () => {
    using metrics = plainMetrics();
    expect(() => metrics.collect(component(good, lookupDuration))).toThrow(/on\(\) and off\(\)/);
    expect(metrics.stats().families).toBe(plainFamilies());
  });

  test("a family that is no object", () => {
    using metrics = plainMetrics();
    expect(() => metrics.collect(component(null as never))).toThrow(/expected an object, got null/);
  });

  test.each<[string, readonly [MetricFamily, MetricFamily]]>([
    ["another type", [gauge("same", () => 1), { ...lookupDuration, name: "same", unit: "" }]],
    ["another unit", [{ ...gauge("a_bytes", () => 1), unit: "bytes" }, gauge("a_bytes", () => 1)]],
    ["other labels", [gauge("same", () => 1), labelled("gauge", "same", "kind", () => [])]],
    ["other buckets", [lookupDuration, { ...lookupDuration, buckets: [1] }]],
    ["OpenMetrics' name of a counter", [counter("jobs_total", () => 1), gauge("jobs", () => 1)]],
    ["the count of a histogram", [{ ...gauge("h", () => 1) }, gauge("h", () => 1)]],
  ])("a name that is taken by a family with %s", (_, [first, second]) => {
    using metrics = plainMetrics();
    metrics.collect(emitting(first), { labels: { n: "1" } });
    const sameShape = first.name === "h";
    const collect = () =>
      metrics.collect(emitting(second), { labels: { n: sameShape ? "1" : "2" } });
    const code = sameShape ? "METRICS_ALREADY_COLLECTED" : "METRICS_FAMILY_CONFLICT";
    expect(collect).toThrow(expect.objectContaining({ code }));
  });

  test("a constant label that the family has itself", () => {
    using metrics = plainMetrics();
    const family = labelled("gauge", "things", "kind", () => []);
    const collect = () => metrics.collect(component(family), { labels: { kind: "x" } });
    expect(collect).toThrow(expect.objectContaining({ code: "METRICS_FAMILY_CONFLICT" }));
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["no metricFamilies", {}],
    ["metricFamilies of another type", { metricFamilies: () => "x" }],
  ])("a component with %s", (_, value) => {
    using metrics = plainMetrics();
    expect(() => metrics.collect(value as never)).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION" }),
    );
  });

  test.each<[string, unknown]>([
    ["a list", []],
    ["an illegal name", { "a-b": "x" }],
    ["a reserved name", { __name__: "x" }],
    ["a value that is no string", { a: 1 }],
  ])("constant labels: %s", (_, labels) => {
    using metrics = plainMetrics();
    expect(() => metrics.collect(new FakeCache(), { labels: labels as never })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION" }),
    );
  });
});

function plainFamilies(): number {
  using metrics = plainMetrics();
  return metrics.stats().families;
}
