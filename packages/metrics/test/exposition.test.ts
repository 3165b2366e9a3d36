import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Metrics } from "../src/index.ts";
import {
  FakeCache,
  OPENMETRICS,
  component,
  counter,
  gauge,
  labelled,
  scrape,
} from "./components.ts";
import { parseExposition } from "./parse-exposition.ts";

function busyMetrics(): Metrics {
  const metrics = new Metrics({ labels: { service: "shop" } });
  const cache = new FakeCache();
  metrics.collect(cache, { labels: { cache: "users" } });
  metrics.collect(new FakeCache(), { labels: { cache: "orders" } });
  cache.emit("lookup", { seconds: 0.005, outcome: "hit" });
  const call = { method: "tools/call", tool: "search", transport: "http" } as const;
  metrics.operations.record({ ...call, durationSeconds: 0.3, protocolVersion: "2025-11-25" });
  metrics.operations.record({ ...call, durationSeconds: 2, errorType: "tool_error" });
  return metrics;
}

describe("exposition", () => {
  test("both formats are valid and say the same", async () => {
    using metrics = busyMetrics();
    const text = await metrics.exposition();
    const open = await metrics.exposition(OPENMETRICS);
    expect(text.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(open.contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const plain = parseExposition(text.body, "prometheus");
    const openFamilies = parseExposition(open.body, "openmetrics");
    expect([...plain.keys()].map((name) => name.replace(/_total$/, ""))).toEqual([
      ...openFamilies.keys(),
    ]);
    expect(openFamilies.get("fake_cache_hits")?.samples).toEqual(
      plain.get("fake_cache_hits_total")?.samples,
    );
  });

  test("a counter keeps its name after a scrape in the other format", async () => {
    using metrics = new Metrics({ runtime: false });
    metrics.collect(component(counter("jobs_total", () => 1)));
    await metrics.exposition(OPENMETRICS);
    const { body } = await metrics.exposition();
    expect(body).toContain("# TYPE jobs_total counter\njobs_total 1");
  });

  test("simultaneous scrapes in both formats do not disturb each other", async () => {
    using metrics = busyMetrics();
    const accepts = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? OPENMETRICS : ""));
    const answers = await Promise.all(accepts.map((accept) => metrics.exposition(accept)));
    for (const [index, { body }] of answers.entries()) {
      const families = parseExposition(body, index % 2 === 0 ? "openmetrics" : "prometheus");
      expect(families.size).toBe(metrics.stats().families);
    }
  });

  test("every label value and help text comes through, whatever it contains", async () => {
    const value = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => text !== "");
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(value, { maxLength: 8 }), value, async (values, help) => {
        using metrics = new Metrics({ runtime: false, labels: { constant: help } });
        const family = labelled("gauge", "things", "thing", () => values.map((key) => [key, 1]));
        metrics.collect(component({ ...family, help }));
        const things = (await scrape(metrics)).get("things");
        expect(things?.samples.map(({ labels }) => labels)).toEqual(
          values.map((thing) => ({ thing, constant: help })),
        );
        expect(things?.help.trim()).toBe(help.replaceAll('"', "'").trim());
      }),
    );
  });

  test("label values that differ only in a separator stay apart", async () => {
    using metrics = new Metrics({ runtime: false });
    const samples = [
      { value: 1, labels: { left: "a|b", right: "c" } },
      { value: 2, labels: { left: "a", right: "b|c" } },
      { value: 3, labels: { left: "1:a", right: "" } },
    ];
    const family = counter("pairs_total", () => 0);
    metrics.collect(component({ ...family, labels: ["left", "right"], read: () => samples }));
    expect((await scrape(metrics)).get("pairs_total")?.samples).toHaveLength(3);
  });

  test("values that are not finite are spelled as the formats want them", async () => {
    using metrics = new Metrics({ runtime: false });
    const values = { nan: NaN, most: Infinity, least: -Infinity, tiny: 1e-9, huge: 1e300 };
    metrics.collect(component(labelled("gauge", "odd", "kind", () => Object.entries(values))));
    const samples = (await scrape(metrics)).get("odd")?.samples ?? [];
    expect(samples.map(({ value }) => value)).toEqual(Object.values(values));
  });

  test("bucket bounds are canonical numbers in OpenMetrics", async () => {
    using metrics = busyMetrics();
    expect((await metrics.exposition(OPENMETRICS)).body).toContain('le="300.0"');
    expect((await metrics.exposition()).body).toContain('le="300"');
  });

  test("promtool accepts the text and has nothing to say about it", async (context) => {
    const found = spawnSync("promtool", ["--version"]).status === 0;
    if (!found && process.env["REQUIRE_SERVICES"] !== "1") {
      process.stderr.write("promtool is not on PATH: its check of the exposition is skipped\n");
      context.skip();
    }
    using metrics = busyMetrics();
    metrics.collect(component(gauge("plain", () => 1)));
    const { body } = await metrics.exposition();
    const { status, stderr, stdout } = spawnSync("promtool", ["check", "metrics"], { input: body });
    expect({ status, stderr: String(stderr), stdout: String(stdout) }).toEqual({
      status: 0,
      stderr: "",
      stdout: "",
    });
  });
});

describe("the parser of these tests", () => {
  const head = "# HELP a_total h\n# TYPE a_total counter\n";
  const histogram = "# HELP h h\n# TYPE h histogram\n";
  test.each([
    ["no newline at the end", `${head}a_total 1`],
    ["a sample before its family", "a_total 1\n"],
    ["two HELP lines", `${head}${head}`],
    ["two TYPE lines", `${head}# TYPE a_total counter\n`],
    ["a missing TYPE", "# HELP a_total h\na_total 1\n"],
    ["a negative counter", `${head}a_total -1\n`],
    ["a duplicate series", `${head}a_total{x="1"} 1\na_total{x="1"} 2\n`],
    ["a label without quotes", `${head}a_total{x=1} 1\n`],
    ["an unknown escape", `${head}a_total{x="\\t"} 1\n`],
    ["a value that is no number", `${head}a_total one\n`],
    ["a sample of another family", "# HELP g h\n# TYPE g gauge\nother 1\n"],
    [
      "falling buckets",
      `${histogram}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
    ],
    ["no +Inf", `${histogram}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`],
    ["a wrong count", `${histogram}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`],
  ])("refuses %s", (_, text) => {
    expect(() => parseExposition(text, "prometheus")).toThrow(/./);
  });

  test.each([
    ["a missing EOF", "# HELP a h\n# TYPE a counter\na_total 1\n"],
    ["a counter named in full", `${head}a_total 1\n# EOF\n`],
    ["a counter sample without its suffix", "# HELP a h\n# TYPE a counter\na 1\n# EOF\n"],
    ["a bare quote in a help text", '# HELP a "h"\n# TYPE a counter\na_total 1\n# EOF\n'],
    ["a blank line", "# HELP a h\n# TYPE a counter\n\na_total 1\n# EOF\n"],
  ])("refuses %s in OpenMetrics", (_, text) => {
    expect(() => parseExposition(text, "openmetrics")).toThrow(/./);
  });
});
