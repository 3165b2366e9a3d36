import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LabelValues, MAX_SERIES } from "../src/cardinality.ts";
import { HistogramCells } from "../src/histogram-cells.ts";
import { Metrics, OTHER } from "../src/index.ts";
import type { MetricSample } from "../src/index.ts";
import { FakeCache, component, counter, countsOf, labelled, samplesOf } from "./components.ts";

const DURATION = "fake_cache_lookup_duration_seconds";

function numbered(count: number): [string, number][] {
  return Array.from({ length: count }, (_, index) => [`value-${index}`, 1]);
}

describe("cardinality: the values of a label", () => {
  test("the first are taken in, the others become _OTHER, for good", () => {
    const values = new LabelValues(2);
    expect(["a", "b", "c", "a", "c"].map((value) => values.admit(value))).toEqual([
      "a",
      "b",
      OTHER,
      "a",
      OTHER,
    ]);
  });

  test("after know only the known and those taken in before are admitted", () => {
    const values = new LabelValues(3);
    values.admit("early");
    values.know(["a", "b", "beyond the bound"]);
    expect(
      ["early", "a", "b", "beyond the bound", "new"].map((value) => values.admit(value)),
    ).toEqual(["early", "a", "b", OTHER, OTHER]);
  });

  test.each<[string, unknown]>([
    ["longer than 128 characters", "x".repeat(129)],
    ["with half a character", "\uD800"],
    ["that is no string", 7],
    ["that is missing", undefined],
  ])("a value %s becomes _OTHER", (_, value) => {
    expect(new LabelValues(5).admit(value as string)).toBe(OTHER);
  });

  test("no sequence of values makes more of them than the bound", () => {
    const operation = fc.oneof(
      fc.record({ admit: fc.string() }),
      fc.record({ know: fc.array(fc.string()) }),
    );
    fc.assert(
      fc.property(fc.array(operation), fc.integer({ min: 1, max: 5 }), (operations, max) => {
        const values = new LabelValues(max);
        const seen = new Set<string>();
        for (const step of operations) {
          if ("know" in step) values.know(step.know);
          else seen.add(values.admit(step.admit));
        }
        seen.delete(OTHER);
        seen.delete("");
        return seen.size <= max && values.size <= max;
      }),
    );
  });
});

describe("cardinality: collected families", () => {
  test("a counter keeps its total when its values are folded", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 3 });
    metrics.collect(component(labelled("counter", "calls_total", "origin", () => numbered(10))));
    const samples = await samplesOf(metrics, "calls_total");
    expect(
      Object.fromEntries(samples.map(({ labels, value }) => [labels["origin"], value])),
    ).toEqual({
      "value-0": 1,
      "value-1": 1,
      "value-2": 1,
      [OTHER]: 7,
    });
    expect(metrics.stats().droppedSeries).toBe(0);
  });

  test("a counter's own _OTHER takes in what is folded", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 2 });
    const values = [[OTHER, 5], ...numbered(4)] as [string, number][];
    metrics.collect(component(labelled("counter", "calls_total", "origin", () => values)));
    const samples = await samplesOf(metrics, "calls_total");
    expect(samples.find(({ labels }) => labels["origin"] === OTHER)?.value).toBe(8);
  });

  test("a gauge beyond the bound is left out and counted as dropped", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 3 });
    let series = 10;
    const read = () => numbered(series);
    metrics.collect(component(labelled("gauge", "load_ratio", "origin", read)));
    metrics.collect(component(labelled("gauge", "load_ratio", "origin", read)), {
      labels: { zone: "b" },
    });
    expect(await samplesOf(metrics, "load_ratio")).toHaveLength(6);
    expect(metrics.stats().droppedSeries).toBe(14);
    expect(await samplesOf(metrics, "metrics_dropped_series")).toEqual([
      { name: "metrics_dropped_series", labels: { family: "load_ratio" }, value: 14 },
    ]);
    series = 2;
    await metrics.exposition();
    expect(metrics.stats().droppedSeries).toBe(0);
  });

  test("a histogram folds what it is sent", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 2 });
    const cache = new FakeCache();
    metrics.collect(cache);
    for (const [outcome] of numbered(50)) cache.emit("lookup", { seconds: 1, outcome });
    expect(await countsOf(metrics, DURATION, "outcome")).toEqual({
      "value-0": 1,
      "value-1": 1,
      [OTHER]: 48,
    });
  });

  test("a counter of many labels stays below the bound of series and keeps its total", async () => {
    using metrics = new Metrics({ runtime: false });
    const samples: MetricSample[] = [];
    for (const [left] of numbered(60)) {
      for (const [right] of numbered(60)) samples.push({ value: 1, labels: { left, right } });
    }
    const family = counter("pairs_total", () => 0);
    metrics.collect(component({ ...family, labels: ["left", "right"], read: () => samples }));
    const read = await samplesOf(metrics, "pairs_total");
    expect(read.length).toBe(MAX_SERIES + 1);
    expect(read.reduce((total, { value }) => total + value, 0)).toBe(3600);
  });

  test("a histogram of many labels stays below the bound of series and keeps its count", () => {
    const cells = new HistogramCells(
      [1],
      ["left", "right"],
      [new LabelValues(200), new LabelValues(200)],
    );
    for (const [left] of numbered(60)) {
      for (const [right] of numbered(60)) cells.observe([left, right], 0.5);
    }
    expect(cells.cells.length).toBe(MAX_SERIES + 1);
    expect(cells.cells.reduce((total, { counts }) => total + (counts[0] ?? 0), 0)).toBe(3600);
    expect(cells.cells.at(-1)?.labels).toEqual({ left: OTHER, right: OTHER });
  });

  test("failures of more families than the bound are counted together", async () => {
    using metrics = new Metrics({ runtime: false, maxLabelValues: 2 });
    metrics.collect(
      component(...["a", "b", "c", "d"].map((name) => counter(`${name}_total`, () => -1))),
    );
    await metrics.exposition();
    const samples = await samplesOf(metrics, "metrics_collect_errors_total");
    expect(samples.map(({ labels }) => labels["family"])).toEqual(["a_total", "b_total", OTHER]);
  });
});
