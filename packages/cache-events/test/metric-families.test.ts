import { describe, expect, test } from "vitest";
import type { HistogramFamily, LoadEvent, MetricFamily, ScalarFamily } from "../src/index.ts";
import { EventCache } from "../src/index.ts";

const names = [
  "cache_hits_total",
  "cache_misses_total",
  "cache_stale_hits_total",
  "cache_stale_misses_total",
  "cache_coalesced_total",
  "cache_loads_total",
  "cache_load_errors_total",
  "cache_invalidations_total",
  "cache_evictions_total",
  "cache_verify_mismatches_total",
  "cache_store_errors_total",
  "cache_entries",
  "cache_memory_bytes",
  "cache_hit_ratio",
  "cache_refreshes",
  "cache_flights",
  "cache_bypassed",
  "cache_load_duration_seconds",
];

describe("metric families", () => {
  test("have Prometheus names with base units; counters end in _total", () => {
    const families = new EventCache().metricFamilies();
    expect(families.map(({ name }) => name)).toEqual(names);
    for (const { name, type, unit, help } of families) {
      expect(name).toMatch(/^cache_[a-z_]+$/);
      expect(name.endsWith("_total")).toBe(type === "counter");
      expect(help).toMatch(/\.$/);
      const inName = ["seconds", "bytes", "ratio"].includes(unit) ? unit : "";
      expect(name).toContain(inName);
    }
  });

  test("emit the labels they declare, and never keys, tags or namespaces", async () => {
    const cache = new EventCache({ name: "tools" });
    await cache.getOrSet("key", () => 1, { namespace: "tenant", tags: ["t"] });
    for (const family of cache.metricFamilies()) {
      if (family.type === "histogram") continue;
      for (const { labels, value } of family.read()) {
        expect(labels).toEqual({ cache: "tools" });
        expect(Object.keys(labels ?? {})).toEqual(family.labels);
        expect(Number.isFinite(value)).toBe(true);
      }
    }
  });

  test("counters never fall", async () => {
    const cache = new EventCache({ maxEntries: 2 });
    const families = cache.metricFamilies();
    let before = readCounters(families);
    const steps = [
      () => cache.getOrSet("a", () => 1),
      () => cache.getOrSet("a", () => 1),
      () => cache.set("b", 1),
      () => cache.set("c", 1),
      () => cache.clear(),
      () => cache.getOrSet("d", () => Promise.reject(new Error("no"))).catch(() => {}),
      async () => cache.bypass(true),
      () => cache.close(),
    ];
    for (const step of steps) {
      await step();
      const after = readCounters(families);
      for (const [name, value] of after)
        expect(value).toBeGreaterThanOrEqual(before.get(name) ?? 0);
      before = after;
    }
    expect(Object.fromEntries(before)).toMatchObject({ cache_loads_total: 2, cache_hits_total: 1 });
  });

  test("the histogram is fed from the cache's own event", async () => {
    let nowMs = 5_000;
    const cache = new EventCache({ name: "tools", now: () => nowMs });
    const family = cache
      .metricFamilies()
      .find(({ type }) => type === "histogram") as HistogramFamily<LoadEvent>;
    const seen: unknown[] = [];
    cache.on(family.event as "load", (event) => {
      seen.push([family.value(event), family.labelsOf?.(event)]);
    });
    await cache.getOrSet("k", () => {
      nowMs += 250;
    });
    expect(seen).toEqual([[0.25, { cache: "tools", outcome: "ok" }]]);
    expect(family.labels).toEqual(["cache", "outcome"]);
    expect(family.buckets.toSorted((a, b) => a - b)).toEqual(family.buckets);
  });
});

function readCounters(families: readonly MetricFamily[]): ReadonlyMap<string, number> {
  const counters = families.filter((family): family is ScalarFamily => family.type === "counter");
  return new Map(counters.map((family) => [family.name, family.read()[0]?.value ?? 0]));
}
