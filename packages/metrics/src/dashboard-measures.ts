import type { PanelName } from "./dashboard-protocol.ts";

/** Samples of one family, of which some labels must have a value, be there at all or have another value. */
export interface Selector {
  readonly family: string;
  readonly where?: Readonly<Record<string, string>>;
  readonly has?: string;
  readonly not?: Readonly<Record<string, string>>;
  /** Keeps one value for each value of this label; without it all samples are added up. */
  readonly by?: string;
}

/**
 * `gauge` and `total` are read as they are; the others are taken over the window: `rate` per second, `share` of one sum in
 * another, `mean` and `quantile` of a histogram, `busy` its sum per second.
 */
export type Measure = { readonly panel: PanelName; readonly key: string } & (
  | { readonly kind: "gauge" | "total" | "rate" | "mean" | "busy"; readonly of: Selector }
  | { readonly kind: "quantile"; readonly of: Selector; readonly q: number }
  | {
      readonly kind: "share";
      readonly part: readonly Selector[];
      readonly whole: readonly Selector[];
    }
);

const CALLS = {
  family: "mcp_server_operation_duration_seconds",
  where: { mcp_method_name: "tools/call" },
};
const BY_TOOL = { ...CALLS, by: "gen_ai_tool_name" };
/** Who cancels a call has not seen it fail. */
const ERRORS = { has: "error_type", not: { error_type: "cancelled" } };
const FAILED = { ...CALLS, ...ERRORS };
const REQUESTS = { family: "http_pool_request_duration_seconds" };
const BY_UPSTREAM = { ...REQUESTS, by: "upstream" };
const BATCH = { family: "batcher_batch_duration_seconds" };

export const MEASURES: readonly Measure[] = [
  rate("tools", "tools/rate", CALLS),
  rate("tools", "tools/errors", FAILED),
  { panel: "tools", key: "tools/error-share", kind: "share", part: [FAILED], whole: [CALLS] },
  ...quantiles("tools", "tools", CALLS),
  rate("tools", "tool/rate", BY_TOOL),
  rate("tools", "tool/errors", { ...BY_TOOL, ...ERRORS }),
  ...quantiles("tools", "tool", BY_TOOL),

  {
    panel: "cache",
    key: "cache/hit-ratio",
    kind: "share",
    part: [{ family: "cache_hits_total" }],
    whole: [{ family: "cache_hits_total" }, { family: "cache_misses_total" }],
  },
  rate("cache", "cache/hits", { family: "cache_hits_total" }),
  rate("cache", "cache/misses", { family: "cache_misses_total" }),
  rate("cache", "cache/stale-hits", { family: "cache_stale_hits_total" }),
  rate("cache", "cache/invalidated", { family: "cache_invalidations_total" }),
  rate("cache", "cache/invalidations", { family: "cache_invalidations_total", by: "cache" }),
  rate("cache", "cache/event", { family: "cache_invalidations_total", by: "event" }),
  rate("cache", "cache/tag", { family: "cache_invalidations_total", by: "tag" }),
  total("cache", "cache/mismatches", { family: "cache_verify_mismatches_total" }),
  total("cache", "cache/stale-total", { family: "cache_stale_hits_total" }),
  total("cache", "cache/store-errors", { family: "cache_store_errors_total" }),
  total("cache", "cache/load-errors", { family: "cache_load_errors_total" }),
  gauge("cache", "cache/entries", { family: "cache_entries" }),
  gauge("cache", "cache/bytes", { family: "cache_memory_bytes" }),
  gauge("cache", "cache/bypassed", { family: "cache_bypassed" }),

  {
    panel: "pool",
    key: "pool/reuse",
    kind: "share",
    part: [{ family: "http_pool_requests_reused_total" }],
    whole: [{ family: "http_pool_requests_total" }],
  },
  gauge("pool", "pool/waiting", { family: "http_pool_requests_waiting" }),
  gauge("pool", "pool/active", { family: "http_pool_connections_active" }),
  gauge("pool", "pool/idle", { family: "http_pool_connections_idle" }),
  gauge("pool", "pool/limit", { family: "http_pool_connections_limit" }),
  gauge("pool", "pool/state", { family: "http_pool_group_upstreams", by: "state" }),
  ...quantiles("pool", "pool", REQUESTS),
  rate("pool", "upstream/rate", BY_UPSTREAM),
  rate("pool", "upstream/failed", { family: "http_pool_requests_failed_total", by: "upstream" }),
  gauge("pool", "upstream/waiting", { family: "http_pool_requests_waiting", by: "upstream" }),
  gauge("pool", "upstream/open", { family: "http_pool_connections_open", by: "upstream" }),
  total("pool", "upstream/ejections", {
    family: "http_pool_group_ejections_total",
    by: "upstream",
  }),
  quantile("pool", "upstream/p95", BY_UPSTREAM, 0.95),

  rate("batches", "batches/rate", BATCH),
  rate("batches", "batches/items", { family: "batcher_settled_items_total" }),
  mean("batches", "batches/size", { family: "batcher_batch_size_items" }),
  gauge("batches", "batches/size-limit", { family: "batcher_size_limit_items" }),
  gauge("batches", "batches/running", { family: "batcher_running_batches" }),
  gauge("batches", "batches/concurrency-limit", { family: "batcher_concurrency_limit_batches" }),
  gauge("batches", "batches/queue", { family: "batcher_queue_items" }),
  rate("batches", "batches/overloads", { family: "batcher_overloads_total" }),
  ...quantiles("batches", "batches", BATCH),

  gauge("process", "process/rss", { family: "process_resident_memory_bytes" }),
  gauge("process", "process/memory-limit", { family: "process_memory_limit_bytes" }),
  gauge("process", "process/heap", { family: "nodejs_heap_size_used_bytes" }),
  gauge("process", "process/heap-limit", { family: "nodejs_heap_size_limit_bytes" }),
  gauge("process", "process/lag-p50", { family: "nodejs_eventloop_lag_p50_seconds" }),
  gauge("process", "process/lag-p99", { family: "nodejs_eventloop_lag_p99_seconds" }),
  gauge("process", "process/utilization", { family: "nodejs_eventloop_utilization_ratio" }),
  rate("process", "process/cpu", { family: "process_cpu_seconds_total" }),
  busy("process", "process/gc", { family: "nodejs_gc_duration_seconds" }),
  busy("process", "gc/time", { family: "nodejs_gc_duration_seconds", by: "kind" }),
  gauge("process", "process/start", { family: "process_start_time_seconds" }),

  gauge("streams", "streams/sessions", { family: "stream_guard_sessions" }),
  gauge("streams", "streams/sessions-limit", { family: "stream_guard_sessions_limit" }),
  gauge("streams", "streams/used", { family: "stream_guard_memory_used_bytes" }),
  gauge("streams", "streams/limit", { family: "stream_guard_memory_limit_bytes" }),
  gauge("streams", "streams/waiting", { family: "stream_guard_waiting_reservations" }),
  gauge("streams", "streams/paused", { family: "stream_guard_paused_sources" }),
  rate("streams", "streams/rejected", { family: "stream_guard_sessions_rejected_total" }),
  rate("streams", "streams/evicted", { family: "stream_guard_sessions_evicted_total" }),
  gauge("streams", "streams/level", { family: "stream_guard_level", by: "level" }),
];

/** All selectors of a measure. */
export function selectorsOf(measure: Measure): readonly Selector[] {
  return measure.kind === "share" ? [...measure.part, ...measure.whole] : [measure.of];
}

function gauge(panel: PanelName, key: string, of: Selector): Measure {
  return { panel, key, kind: "gauge", of };
}

function total(panel: PanelName, key: string, of: Selector): Measure {
  return { panel, key, kind: "total", of };
}

function rate(panel: PanelName, key: string, of: Selector): Measure {
  return { panel, key, kind: "rate", of };
}

function mean(panel: PanelName, key: string, of: Selector): Measure {
  return { panel, key, kind: "mean", of };
}

function busy(panel: PanelName, key: string, of: Selector): Measure {
  return { panel, key, kind: "busy", of };
}

function quantile(panel: PanelName, key: string, of: Selector, q: number): Measure {
  return { panel, key, kind: "quantile", of, q };
}

function quantiles(panel: PanelName, prefix: string, of: Selector): readonly Measure[] {
  return [
    quantile(panel, `${prefix}/p50`, of, 0.5),
    quantile(panel, `${prefix}/p95`, of, 0.95),
    quantile(panel, `${prefix}/p99`, of, 0.99),
  ];
}
