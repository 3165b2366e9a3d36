import type { LoadEvent } from "./cache-events.ts";
import type { CacheTotals } from "./stats.ts";

export interface MetricSample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A value read when it is collected. */
export interface ScalarFamily {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  read(): readonly MetricSample[];
}

/** Fed from the cache's own events: `cache.on(family.event, (event) => record(family.value(event)))`. */
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

const loadBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Row = readonly [
  name: string,
  help: string,
  unit: string,
  read: (totals: CacheTotals) => number,
];

const counters: readonly Row[] = [
  ["cache_hits_total", "Reads answered from the cache.", "", (s) => s.hits],
  ["cache_misses_total", "Reads that found nothing to use.", "", (s) => s.misses],
  ["cache_stale_hits_total", "Reads that got a value past its ttl.", "", (s) => s.staleHits],
  [
    "cache_stale_misses_total",
    "Misses that found an invalidated or expired entry.",
    "",
    (s) => s.staleMisses,
  ],
  ["cache_coalesced_total", "Misses that shared a compute.", "", (s) => s.coalesced],
  ["cache_loads_total", "Computes begun.", "loads", (s) => s.loads],
  ["cache_load_errors_total", "Computes that failed or timed out.", "", (s) => s.loadErrors],
  ["cache_invalidations_total", "Fences moved.", "invalidations", (s) => s.invalidations],
  ["cache_evictions_total", "Entries removed to make room.", "", (s) => s.evictions],
  [
    "cache_verify_mismatches_total",
    "Sampled hits that differed when computed again.",
    "",
    (s) => s.verifyMismatches,
  ],
  ["cache_store_errors_total", "Failed calls of the store.", "", (s) => s.storeErrors],
];

const gauges: readonly Row[] = [
  ["cache_entries", "Entries in memory.", "entries", (s) => s.entries],
  ["cache_memory_bytes", "Estimated size of the entries in memory.", "bytes", (s) => s.memoryBytes],
  ["cache_hit_ratio", "Hits among all reads so far.", "ratio", (s) => s.hitRatio],
  ["cache_refreshes", "Refreshes under way in the background.", "", (s) => s.refreshes],
  ["cache_flights", "Computes under way.", "", (s) => s.flights],
  ["cache_bypassed", "1 while the cache is bypassed.", "", (s) => Number(s.bypassed)],
];

export function cacheFamilies(cache: string, totals: () => CacheTotals): readonly MetricFamily[] {
  const scalar =
    (type: "counter" | "gauge") =>
    ([name, help, unit, read]: Row): ScalarFamily => ({
      type,
      name,
      help,
      unit,
      labels: ["cache"],
      read: () => [{ value: read(totals()), labels: { cache } }],
    });
  return [
    ...counters.map(scalar("counter")),
    ...gauges.map(scalar("gauge")),
    {
      type: "histogram",
      name: "cache_load_duration_seconds",
      help: "Duration of a compute.",
      unit: "seconds",
      labels: ["cache", "outcome"],
      event: "load",
      buckets: loadBuckets,
      value: ({ durationMs }: LoadEvent) => durationMs / 1_000,
      labelsOf: ({ outcome }: LoadEvent) => ({ cache, outcome }),
    },
  ];
}
