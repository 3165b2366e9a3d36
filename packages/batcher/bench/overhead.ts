// What does an item cost in a burst of 1,000 that cost nothing to process, with metrics on, against the usual ways to do it?
import { AsyncBatcher } from "@tanstack/pacer";
import { BatchProcessor } from "@mcp-accel/batcher";
import type { BatchProcessorOptions, HistogramFamily } from "@mcp-accel/batcher";
import DataLoader from "dataloader";
import pLimit from "p-limit";
import pMap from "p-map";
import PQueue from "p-queue";
import { compare } from "./measure.ts";
import { report } from "./report.ts";

const burst = 1_000;
const items = Array.from({ length: burst }, (_, index) => index);
const echo = async (batch: readonly number[]): Promise<number[]> => [...batch];
const one = async (item: number): Promise<number> => item;

const loader = new DataLoader<number, number>(echo, { cache: false, maxBatchSize: 100 });
const adaptive = observed({});
const fixed = observed({ adaptiveSizing: false });
const single = observed({ adaptiveSizing: false, maxBatchSize: burst });
const pacer = new AsyncBatcher<number>(echo, { maxSize: 100, wait: 0 });
const queue = new PQueue({ concurrency: 4 });
const limit = pLimit(4);

const each = (work: (item: number) => unknown) => () => Promise.all(items.map(work));
const rows = await compare(
  [
    { name: "DataLoader, no cache, 100 a batch", run: each((item) => loader.load(item)) },
    { name: "batcher.add", run: each((item) => adaptive.add(item)) },
    { name: "batcher.add, fixed 100 x 4", run: each((item) => fixed.add(item)) },
    { name: "batcher.add, fixed 1,000 x 4", run: each((item) => single.add(item)) },
    { name: "batcher.processBatch", run: () => adaptive.processBatch(items) },
    { name: "AsyncBatcher, 100 a batch", run: each((item) => pacer.addItem(item)) },
    { name: "p-queue", run: each((item) => queue.add(() => one(item))) },
    { name: "p-limit", run: each((item) => limit(() => one(item))) },
    { name: "p-map", run: () => pMap(items, one, { concurrency: 4 }) },
    { name: "bare promises", run: each(one) },
  ],
  { items: burst, rounds: 21, roundMs: 60 },
);
report([
  {
    title: `An item in a burst of ${burst}; ratio: time against DataLoader in the same round, least and most of 80 % of the rounds`,
    rows,
    notes: ["The batchers feed their histograms. AsyncBatcher does not hand results to items."],
  },
]);

/** With its histograms fed, as a collector of metrics does it. */
function observed(options: BatchProcessorOptions<number, number>): BatchProcessor<number, number> {
  const batcher = new BatchProcessor<number, number>(echo, options);
  for (const family of batcher.metricFamilies()) {
    if (family.type !== "histogram") continue;
    const counts = family.buckets.map(() => 0);
    const histogram = family as unknown as HistogramFamily<unknown>;
    batcher.on("batch", (record) => {
      histogram.labelsOf?.(record);
      const bucket = histogram.buckets.findIndex((most) => histogram.value(record) <= most);
      if (bucket >= 0) counts[bucket] = (counts[bucket] ?? 0) + 1;
    });
  }
  return batcher;
}
