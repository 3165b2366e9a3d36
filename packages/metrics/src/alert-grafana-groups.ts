import { counter, gauge, histogram } from "./alert-expressions.ts";
import type { AnySelector, EventsSelector } from "./alert-expressions.ts";

export interface DashboardQuery {
  readonly of: AnySelector;
  /** As it is now, per second, divided by the rate of `over`, or a quantile of the observations. */
  readonly show: "now" | "rate" | "ratio" | "p50" | "p95" | "p99";
  readonly over?: readonly EventsSelector[];
  readonly by?: readonly string[];
  readonly legend?: string;
}

export interface DashboardPanel {
  readonly title: string;
  /** A unit of Grafana: `s`, `bytes`, `percentunit`, `ops`, `short`. */
  readonly unit: string;
  readonly queries: readonly DashboardQuery[];
  /** The rule whose threshold is drawn. */
  readonly rule?: string;
}

export interface DashboardGroup {
  readonly title: string;
  readonly panels: readonly DashboardPanel[];
}

const OPERATIONS = "mcp_server_operation_duration_seconds";
const TOOL = ["gen_ai_tool_name"];
const CALLS = { mcp_method_name: "tools/call" };

const tools: DashboardGroup = {
  title: "Tools",
  panels: [
    panel("Calls by tool", "ops", rate(histogram(OPERATIONS, CALLS), TOOL)),
    panel(
      "Errors by tool",
      "ops",
      rate(histogram(OPERATIONS, { ...CALLS, error_type: { not: "" } }), [...TOOL, "error_type"]),
    ),
    panel("Duration of calls", "s", ...quantiles(histogram(OPERATIONS, CALLS))),
    {
      ...panel(
        "Calls over the objective of their tier",
        "percentunit",
        ratio(
          counter("mcp_server_tool_objective_misses_total"),
          [counter("mcp_server_tool_calls_total")],
          ["tier"],
        ),
      ),
      rule: "FastTierSlow",
    },
  ],
};

const cache: DashboardGroup = {
  title: "Cache",
  panels: [
    {
      ...panel(
        "Hit ratio",
        "percentunit",
        ratio(
          counter("cache_hits_total"),
          [counter("cache_hits_total"), counter("cache_misses_total")],
          ["cache"],
        ),
      ),
      rule: "CacheHitRatioLow",
    },
    panel(
      "Invalidations and evictions",
      "ops",
      rate(counter("cache_invalidations_total"), ["cache"], "invalidations {{cache}}"),
      rate(counter("cache_evictions_total"), ["cache"], "evictions {{cache}}"),
    ),
    {
      ...panel(
        "Stale incidents and errors",
        "ops",
        rate(counter("cache_verify_mismatches_total"), ["cache"], "stale {{cache}}"),
        rate(counter("cache_load_errors_total"), ["cache"], "load errors {{cache}}"),
        rate(counter("cache_store_errors_total"), ["cache"], "store errors {{cache}}"),
      ),
    },
    panel("Duration of loads", "s", ...quantiles(histogram("cache_load_duration_seconds"))),
    panel("Memory of entries", "bytes", now(gauge("cache_memory_bytes"), ["cache"])),
  ],
};

const pool: DashboardGroup = {
  title: "Connection pool",
  panels: [
    {
      ...panel(
        "Connection reuse",
        "percentunit",
        ratio(
          counter("http_pool_requests_reused_total"),
          [counter("http_pool_requests_total")],
          ["upstream"],
        ),
      ),
      rule: "ConnectionReuseLow",
    },
    panel(
      "Duration of requests",
      "s",
      ...quantiles(histogram("http_pool_request_duration_seconds")),
    ),
    panel(
      "Connections",
      "short",
      now(gauge("http_pool_connections_active"), [], "active"),
      now(gauge("http_pool_connections_idle"), [], "idle"),
      now(gauge("http_pool_connections_limit"), [], "limit"),
      now(gauge("http_pool_requests_waiting"), [], "requests waiting"),
    ),
    panel(
      "Refused and failed requests",
      "ops",
      rate(counter("http_pool_queue_timeouts_total"), [], "queue time-outs"),
      rate(counter("http_pool_requests_rejected_total"), [], "rejected"),
      rate(counter("http_pool_requests_failed_total"), [], "failed"),
    ),
    panel("Upstreams by state", "short", now(gauge("http_pool_group_upstreams"), ["state"])),
    panel(
      "Ejections and retries",
      "ops",
      rate(counter("http_pool_group_ejections_total"), ["upstream"], "ejections {{upstream}}"),
      rate(counter("http_pool_group_retries_total"), [], "retries"),
      rate(counter("http_pool_group_hedges_total"), [], "hedges"),
    ),
  ],
};

const batches: DashboardGroup = {
  title: "Batches",
  panels: [
    {
      ...panel(
        "Items in a batch",
        "short",
        ratio(counter("batcher_settled_items_total"), [counter("batcher_batches_total")], []),
        now(gauge("batcher_size_limit_items"), [], "limit"),
      ),
      rule: "BatchEfficiencyLow",
    },
    panel("Batches by outcome", "ops", rate(counter("batcher_batches_total"), ["outcome"])),
    panel(
      "Concurrency",
      "short",
      now(gauge("batcher_running_batches"), [], "running"),
      now(gauge("batcher_concurrency_limit_batches"), [], "limit"),
    ),
    panel("Wait in the queue", "s", ...quantiles(histogram("batcher_queue_wait_seconds"))),
    panel(
      "Queue",
      "short",
      now(gauge("batcher_queue_items"), [], "items"),
      rate(counter("batcher_overloads_total"), [], "refused per second"),
    ),
  ],
};

const streams: DashboardGroup = {
  title: "Streams",
  panels: [
    {
      ...panel(
        "Memory of streams",
        "bytes",
        now(gauge("stream_guard_memory_used_bytes"), [], "used"),
        now(gauge("stream_guard_memory_limit_bytes"), [], "limit"),
      ),
    },
    panel("Sessions", "short", now(gauge("stream_guard_sessions"), [], "open")),
    panel(
      "Sessions evicted and refused",
      "ops",
      rate(counter("stream_guard_sessions_evicted_total"), ["reason"], "evicted {{reason}}"),
      rate(counter("stream_guard_sessions_rejected_total"), ["reason"], "refused {{reason}}"),
    ),
    {
      ...panel(
        "Memory of the process against its limit",
        "percentunit",
        now(gauge("stream_guard_process_memory_ratio"), ["instance"]),
      ),
      rule: "MemoryHigh",
    },
    panel(
      "Permits",
      "short",
      now(gauge("stream_guard_pool_in_use"), ["pool"], "in use {{pool}}"),
      now(gauge("stream_guard_pool_waiting"), ["pool"], "waiting {{pool}}"),
    ),
  ],
};

const runtime: DashboardGroup = {
  title: "Process",
  panels: [
    panel(
      "Memory",
      "bytes",
      now(gauge("process_resident_memory_bytes"), ["instance"], "resident {{instance}}"),
      now(gauge("nodejs_heap_size_used_bytes"), ["instance"], "heap {{instance}}"),
      now(gauge("nodejs_external_memory_bytes"), ["instance"], "external {{instance}}"),
    ),
    panel(
      "Event-loop delay, p99",
      "s",
      now(gauge("nodejs_eventloop_lag_p99_seconds"), ["instance"]),
    ),
    panel("Garbage collection", "ops", rate(histogram("nodejs_gc_duration_seconds"), ["kind"])),
    panel("CPU", "percentunit", rate(counter("process_cpu_seconds_total"), ["instance"])),
    panel(
      "Metrics that could not be read",
      "ops",
      rate(counter("metrics_collect_errors_total"), ["family"]),
    ),
  ],
};

/** What the five packages describe, in the order in which an operator asks. */
export const dashboardGroups: readonly DashboardGroup[] = [
  tools,
  cache,
  pool,
  batches,
  streams,
  runtime,
];

function panel(title: string, unit: string, ...queries: readonly DashboardQuery[]): DashboardPanel {
  return { title, unit, queries };
}

function now(of: AnySelector, by: readonly string[], legend?: string): DashboardQuery {
  return { of, show: "now", by, ...(legend === undefined ? {} : { legend }) };
}

function rate(of: EventsSelector, by: readonly string[], legend?: string): DashboardQuery {
  return { of, show: "rate", by, ...(legend === undefined ? {} : { legend }) };
}

function ratio(
  of: EventsSelector,
  over: readonly EventsSelector[],
  by: readonly string[],
): DashboardQuery {
  return { of, over, show: "ratio", by };
}

function quantiles(of: AnySelector): readonly DashboardQuery[] {
  return (["p50", "p95", "p99"] as const).map((show) => ({ of, show, legend: show }));
}
