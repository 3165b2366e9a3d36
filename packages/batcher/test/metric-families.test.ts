import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatcherEvents, HistogramFamily, ScalarFamily } from "../src/index.ts";
import { httpError, range } from "./support/backend.ts";

const units = ["", "seconds", "bytes", "items", "batches"];

async function busyBatcher() {
  let calls = 0;
  const batcher = new BatchProcessor<number, number>(
    (items) => (calls++ === 1 ? Promise.reject(httpError(413)) : Promise.resolve([...items])),
    { maxBatchSize: 10, queueLimit: 20 },
  );
  const work = async () => {
    await batcher.processBatch(range(50));
  };
  await work();
  return { batcher, work };
}

function families(batcher: BatchProcessor<number, number>) {
  const all = batcher.metricFamilies();
  return {
    all,
    scalars: all.filter((family): family is ScalarFamily => family.type !== "histogram"),
    histograms: all.filter((family): family is HistogramFamily => family.type === "histogram"),
  };
}

test("names are legal, unique, in base units, and counters end with _total", async () => {
  const { all } = families((await busyBatcher()).batcher);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  for (const { name, type, unit, help } of all) {
    expect(name).toMatch(/^batcher_[a-z_]+$/);
    expect(units).toContain(unit);
    const base = type === "counter" ? name.replace(/_total$/, "") : name;
    expect(base.endsWith(unit === "" ? "" : `_${unit}`)).toBe(true);
    expect(name.endsWith("_total")).toBe(type === "counter");
    expect(help).toMatch(/\.$/);
  }
});

test("labels emitted are the labels declared, and counters never go back", async () => {
  const { batcher, work } = await busyBatcher();
  const { scalars } = families(batcher);
  const before = scalars.map((family) => family.read());
  await work();
  for (const [index, family] of scalars.entries())
    for (const [place, { value, labels }] of family.read().entries()) {
      expect(Object.keys(labels ?? {})).toEqual(family.labels);
      expect(Number.isFinite(value)).toBe(true);
      const least = family.type === "counter" ? (before[index]?.[place]?.value ?? 0) : 0;
      expect(value).toBeGreaterThanOrEqual(least);
    }
  const accepted = scalars.find(({ name }) => name === "batcher_accepted_items_total");
  expect(accepted?.read()).toEqual([{ value: 100 }]);
});

test("histograms are fed by the component's own events", async () => {
  const { batcher, work } = await busyBatcher();
  const { histograms } = families(batcher);
  const seen = new Map<string, number[]>();
  for (const family of histograms) {
    expect(family.buckets).toEqual([...family.buckets].toSorted((one, other) => one - other));
    batcher.on(
      family.event as keyof BatcherEvents,
      ((event: never) => {
        seen.set(family.name, [...(seen.get(family.name) ?? []), family.value(event)]);
        expect(Object.keys(family.labelsOf?.(event) ?? {})).toEqual(family.labels);
      }) as never,
    );
  }
  await work();
  expect([...seen.keys()].toSorted()).toEqual(histograms.map(({ name }) => name).toSorted());
  expect(seen.get("batcher_batch_size_items")?.reduce((sum, size) => sum + size)).toBe(50);
  for (const value of [...seen.values()].flat()) expect(value).toBeGreaterThanOrEqual(0);
});
