import { EventEmitter } from "eventemitter3";
import type { HistogramFamily, MetricFamily, Metrics, ScalarFamily } from "../src/index.ts";

type Labels = Readonly<Record<string, string>>;

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const TOOLS = ["search_documents", "fetch_page", "summarise", "list_tags"];
const UPSTREAMS = ["10.0.0.1:8080", "10.0.0.2:8080"];

interface Observation {
  readonly value: number;
  readonly labels: Labels;
}

/** Families of one component under their real names, with numbers that the test sets. */
export class StandIn extends EventEmitter<Record<string, [Observation]>> {
  readonly #scalars = new Map<
    string,
    { type: "counter" | "gauge"; samples: Map<string, [Labels, number]> }
  >();
  readonly #histograms: readonly HistogramFamily[];

  constructor(
    names: readonly string[],
    histograms: readonly (readonly [string, readonly string[], readonly number[]])[],
  ) {
    super();
    for (const name of names) {
      this.#scalars.set(name, {
        type: name.endsWith("_total") ? "counter" : "gauge",
        samples: new Map(),
      });
    }
    this.#histograms = histograms.map(([name, labels, buckets]) =>
      histogram(name, labels, buckets),
    );
  }

  set(name: string, value: number, labels: Labels = {}): void {
    this.#scalars.get(name)?.samples.set(JSON.stringify(labels), [labels, value]);
  }

  add(name: string, value: number, labels: Labels = {}): void {
    const known = this.#scalars.get(name)?.samples.get(JSON.stringify(labels))?.[1] ?? 0;
    this.set(name, known + value, labels);
  }

  observe(name: string, value: number, labels: Labels = {}): void {
    this.emit(name, { value, labels });
  }

  metricFamilies(): readonly MetricFamily[] {
    const scalars = Array.from(this.#scalars, ([name, { type, samples }]): ScalarFamily => {
      const labels = ["cache", "upstream", "state", "outcome", "level"].filter((label) =>
        [...samples.values()].some(([own]) => label in own),
      );
      const read = () => Array.from(samples.values(), ([own, value]) => ({ labels: own, value }));
      return { type, name, help: name, unit: "", labels, read };
    });
    return [...scalars, ...this.#histograms];
  }
}

function histogram(
  name: string,
  labels: readonly string[],
  buckets: readonly number[],
): HistogramFamily {
  return {
    type: "histogram",
    name,
    help: name,
    unit: name.endsWith("_items") ? "items" : "seconds",
    labels,
    event: name,
    buckets,
    value: ({ value }: Observation) => value,
    labelsOf: ({ labels: own }: Observation) => own,
  };
}

export interface Load {
  /** Calls in a second. */
  readonly calls: number;
  /** Of them, how many fail. */
  readonly failed: number;
  /** Duration of a call, in seconds. */
  readonly seconds: number;
  readonly overloaded?: boolean;
}

/** A server with all five packages, as far as a dashboard can see. */
export class FakeServer {
  readonly cache = cacheStandIn();
  readonly pool = poolStandIn();
  readonly batcher = batcherStandIn();
  readonly streams = streamStandIn();
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.second({ calls: 0, failed: 0, seconds: 0 });
    for (const component of [this.cache, this.pool, this.batcher, this.streams])
      metrics.collect(component);
  }

  /** What happens in a second. */
  second({ calls, failed, seconds, overloaded = false }: Load): void {
    const { operations } = this.#metrics;
    for (let call = 0; call < calls; call += 1) {
      const tool = TOOLS[call % TOOLS.length] as string;
      const durationSeconds = seconds * (0.5 + ((call * 37) % 100) / 50);
      const failure = call < failed ? { errorType: "tool_error" } : {};
      operations.record({
        method: "tools/call",
        tool,
        transport: "http",
        durationSeconds,
        ...failure,
      });
    }
    this.#cache(calls, overloaded);
    this.#pool(calls, failed, seconds, overloaded);
    this.#batches(calls, seconds, overloaded);
    this.#streams(overloaded);
  }

  #cache(calls: number, overloaded: boolean): void {
    const { cache } = this;
    const labels = { cache: "documents" };
    cache.add("cache_hits_total", Math.round(calls * 2.4), labels);
    cache.add("cache_misses_total", Math.round(calls * 0.3), labels);
    cache.add("cache_stale_hits_total", overloaded ? 3 : 0, labels);
    cache.add("cache_invalidations_total", Math.round(calls / 20), labels);
    cache.set("cache_verify_mismatches_total", 0, labels);
    cache.set("cache_store_errors_total", 0, labels);
    cache.set("cache_load_errors_total", 0, labels);
    cache.set("cache_entries", 4_812, labels);
    cache.set("cache_memory_bytes", 38_400_000, labels);
    cache.set("cache_bypassed", 0, labels);
  }

  #pool(calls: number, failed: number, seconds: number, overloaded: boolean): void {
    const { pool } = this;
    const states = { usable: overloaded ? 1 : 2, ejected: overloaded ? 1 : 0, unhealthy: 0 };
    for (const [state, value] of Object.entries(states))
      pool.set("http_pool_group_upstreams", value, { state });
    for (const [index, upstream] of UPSTREAMS.entries()) {
      const requests = Math.round(calls / UPSTREAMS.length);
      pool.add("http_pool_requests_total", requests, { upstream });
      pool.add("http_pool_requests_reused_total", Math.floor(requests * 0.97), { upstream });
      pool.add("http_pool_requests_failed_total", Math.round(failed / 2), { upstream });
      pool.set("http_pool_requests_waiting", overloaded ? 42 + index : 0, { upstream });
      pool.set("http_pool_connections_open", 12, { upstream });
      pool.set("http_pool_connections_active", overloaded ? 16 : 5 + index, { upstream });
      pool.set("http_pool_connections_idle", overloaded ? 0 : 7, { upstream });
      pool.set("http_pool_connections_limit", 16, { upstream });
      pool.add("http_pool_group_ejections_total", overloaded ? 1 : 0, { upstream });
      for (let request = 0; request < requests; request += 1) {
        const value = (seconds / 2) * (0.5 + (request % 10) / 8);
        pool.observe("http_pool_request_duration_seconds", value, { upstream, outcome: "ok" });
      }
    }
  }

  #batches(calls: number, seconds: number, overloaded: boolean): void {
    const { batcher } = this;
    const batches = Math.ceil(calls / 12);
    batcher.add("batcher_settled_items_total", calls, { outcome: "ok" });
    batcher.set("batcher_queue_items", overloaded ? 960 : calls % 7);
    batcher.set("batcher_running_batches", overloaded ? 8 : 3);
    batcher.set("batcher_size_limit_items", 50);
    batcher.set("batcher_concurrency_limit_batches", 8);
    batcher.add("batcher_overloads_total", overloaded ? 25 : 0);
    for (let batch = 0; batch < batches; batch += 1) {
      batcher.observe("batcher_batch_size_items", overloaded ? 48 : 9 + (batch % 5), {
        outcome: "ok",
      });
      batcher.observe("batcher_batch_duration_seconds", seconds * (1 + (batch % 3)), {
        outcome: "ok",
      });
    }
  }

  #streams(overloaded: boolean): void {
    const { streams } = this;
    streams.set("stream_guard_sessions", overloaded ? 256 : 31);
    streams.set("stream_guard_sessions_limit", 256);
    streams.set("stream_guard_memory_used_bytes", overloaded ? 62_000_000 : 9_400_000);
    streams.set("stream_guard_memory_limit_bytes", 67_108_864);
    streams.set("stream_guard_waiting_reservations", overloaded ? 17 : 0);
    streams.set("stream_guard_paused_sources", overloaded ? 4 : 0);
    streams.add("stream_guard_sessions_rejected_total", overloaded ? 6 : 0);
    streams.add("stream_guard_sessions_evicted_total", overloaded ? 2 : 0);
  }
}

function cacheStandIn(): StandIn {
  const counters = [
    "hits",
    "misses",
    "stale_hits",
    "invalidations",
    "verify_mismatches",
    "store_errors",
    "load_errors",
  ];
  const names = counters.map((name) => `cache_${name}_total`);
  return new StandIn([...names, "cache_entries", "cache_memory_bytes", "cache_bypassed"], []);
}

function poolStandIn(): StandIn {
  const names = [
    "http_pool_group_upstreams",
    "http_pool_group_ejections_total",
    "http_pool_requests_total",
    "http_pool_requests_reused_total",
    "http_pool_requests_failed_total",
    "http_pool_requests_waiting",
    "http_pool_connections_open",
    "http_pool_connections_active",
    "http_pool_connections_idle",
    "http_pool_connections_limit",
  ];
  return new StandIn(names, [
    ["http_pool_request_duration_seconds", ["upstream", "outcome"], SECONDS],
  ]);
}

function batcherStandIn(): StandIn {
  const names = [
    "batcher_settled_items_total",
    "batcher_queue_items",
    "batcher_running_batches",
    "batcher_size_limit_items",
    "batcher_concurrency_limit_batches",
    "batcher_overloads_total",
  ];
  return new StandIn(names, [
    ["batcher_batch_size_items", ["outcome"], ITEMS],
    ["batcher_batch_duration_seconds", ["outcome"], SECONDS],
  ]);
}

function streamStandIn(): StandIn {
  const gauges = [
    "sessions",
    "sessions_limit",
    "memory_used_bytes",
    "memory_limit_bytes",
    "waiting_reservations",
    "paused_sources",
  ];
  const counters = ["sessions_rejected", "sessions_evicted"].map(
    (name) => `stream_guard_${name}_total`,
  );
  return new StandIn([...gauges.map((name) => `stream_guard_${name}`), ...counters], []);
}
