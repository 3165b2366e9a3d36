import type { BatchRecord } from "./controller.ts";
import type { BatcherStats } from "./stats.ts";

export interface MetricSample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ScalarFamily {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  read(): readonly MetricSample[];
}

export interface HistogramFamily<E = never> {
  readonly type: "histogram";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly event: string;
  readonly buckets: readonly number[];
  value(event: E): number;
  labelsOf?(event: E): Readonly<Record<string, string>>;
}

export type MetricFamily = ScalarFamily | HistogramFamily;

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const itemsBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

export function batcherFamilies(stats: () => BatcherStats): readonly MetricFamily[] {
  return [...counters(stats), ...gauges(stats), ...histograms()];
}

function counters(stats: () => BatcherStats): ScalarFamily[] {
  const counter = scalar("counter");
  return [
    counter(
      "batcher_accepted_items_total",
      "Items accepted into the queue.",
      "items",
      () => stats().accepted,
    ),
    counter(
      "batcher_deduplicated_items_total",
      "Items that shared another of their dedupeKey.",
      "items",
      () => stats().deduplicated,
    ),
    counter(
      "batcher_settled_items_total",
      "Accepted items that settled, by how they ended.",
      "items",
      () => stats().settled,
      "outcome",
    ),
    counter(
      "batcher_batches_total",
      "Calls of a processor, by how they ended.",
      "batches",
      () => stats().batches,
      "outcome",
    ),
    counter(
      "batcher_retries_total",
      "Calls repeated after a transient failure.",
      "",
      () => stats().retries,
    ),
    counter(
      "batcher_splits_total",
      "Batches split after a failure, by reason.",
      "",
      () => stats().splits,
      "reason",
    ),
    counter(
      "batcher_overloads_total",
      "Items refused because the queue was full.",
      "",
      () => stats().overloads,
    ),
  ];
}

function gauges(stats: () => BatcherStats): ScalarFamily[] {
  const gauge = scalar("gauge");
  return [
    gauge("batcher_queue_items", "Items in the queue.", "items", () => stats().queuedItems),
    gauge(
      "batcher_queue_bytes",
      "Bytes in the queue, by sizeOf.",
      "bytes",
      () => stats().queuedBytes,
    ),
    gauge(
      "batcher_running_batches",
      "Batches that hold a slot.",
      "batches",
      () => stats().runningBatches,
    ),
    gauge(
      "batcher_size_limit_items",
      "Largest size of the next batch.",
      "items",
      () => stats().sizeLimit,
    ),
    gauge(
      "batcher_concurrency_limit_batches",
      "Batches that may run at once.",
      "batches",
      () => stats().concurrencyLimit,
    ),
  ];
}

function histograms(): MetricFamily[] {
  const byOutcome = {
    labels: ["outcome"],
    labelsOf: ({ outcome }: BatchRecord) => ({ outcome }),
  };
  const batch = { type: "histogram", event: "batch" } as const;
  return [
    {
      ...batch,
      ...byOutcome,
      name: "batcher_batch_duration_seconds",
      help: "Duration of a call of a processor.",
      unit: "seconds",
      buckets: secondsBuckets,
      value: ({ durationMs }: BatchRecord) => durationMs / 1_000,
    },
    {
      ...batch,
      ...byOutcome,
      name: "batcher_batch_size_items",
      help: "Items in a call of a processor.",
      unit: "items",
      buckets: itemsBuckets,
      value: ({ size }: BatchRecord) => size,
    },
    {
      ...batch,
      labels: [],
      name: "batcher_queue_wait_seconds",
      help: "Time in the queue of the first item of a batch.",
      unit: "seconds",
      buckets: secondsBuckets,
      value: ({ waitMs }: BatchRecord) => waitMs / 1_000,
    },
  ];
}

type Reading = number | Readonly<Record<string, number>>;

function scalar(type: "counter" | "gauge") {
  return (
    name: string,
    help: string,
    unit: string,
    reading: () => Reading,
    label?: string,
  ): ScalarFamily => ({
    type,
    name,
    help,
    unit,
    labels: label === undefined ? [] : [label],
    read() {
      const value = reading();
      if (typeof value === "number") return [{ value }];
      return Object.entries(value).map(([key, count]) => ({
        value: count,
        labels: { [label ?? ""]: key },
      }));
    },
  });
}
