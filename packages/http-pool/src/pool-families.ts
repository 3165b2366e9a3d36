import type {
  HistogramFamily,
  MetricFamily,
  MetricSample,
  ScalarFamily,
} from "./metric-families.ts";
import type { OpenEvent, RequestEvent, WaitEvent } from "./pool-events.ts";
import type { PoolStats } from "./pool-stats.ts";

export interface UpstreamStats {
  readonly upstream: string;
  readonly stats: PoolStats;
}

type Read = (stats: PoolStats) => number;

/** `read` gives the statistics of each upstream; `labelOf` bounds the values of the label `upstream`. */
export function poolFamilies(
  read: () => readonly UpstreamStats[],
  labelOf: (upstream: string) => string,
): readonly MetricFamily[] {
  const gauge = (name: string, help: string, value: Read, unit = ""): ScalarFamily =>
    scalar("gauge", `http_pool_${name}`, help, unit, read, value);
  const counter = (name: string, help: string, value: Read): ScalarFamily =>
    scalar("counter", `http_pool_${name}_total`, help, "", read, value);
  return [
    gauge(
      "connections_open",
      "Sockets open, of those that count against the limit",
      (stats) => stats.open,
    ),
    gauge("connections_idle", "Connections waiting to be reused", (stats) => stats.idle),
    gauge("connections_active", "Connections in use", (stats) => stats.active),
    gauge("connections_limit", "Connections that may be in use", (stats) => stats.maxConnections),
    gauge("streams", "Connections beyond the limit", (stats) => stats.streams),
    gauge("requests_waiting", "Requests waiting for a connection", (stats) => stats.waiting),
    gauge(
      "reuse_ratio",
      "Part of the requests on a used connection",
      (stats) => stats.reuseRatio,
      "ratio",
    ),
    counter("connections_created", "Connections opened", (stats) => stats.created),
    by(
      "connections_closed",
      "Connections closed, by reason",
      "reason",
      read,
      (stats) => stats.closed,
    ),
    counter(
      "connect_errors",
      "Connections that could not be opened",
      (stats) => stats.connectErrors,
    ),
    counter("requests", "Requests written to a connection", (stats) => stats.requests),
    counter("requests_reused", "Requests on a used connection", (stats) => stats.reused),
    counter(
      "requests_replayed",
      "Requests sent again after a dead connection",
      (stats) => stats.replays,
    ),
    counter("requests_failed", "Requests that ended with an error", (stats) => stats.failed),
    counter("requests_aborted", "Requests ended by the caller", (stats) => stats.aborted),
    counter("requests_rejected", "Requests refused at once", (stats) => stats.rejected),
    counter("queue_timeouts", "Requests that waited in vain", (stats) => stats.queueTimeouts),
    by("health_checks", "Health checks, by result", "result", read, (stats) => stats.healthChecks),
    by(
      "keep_alives",
      "Keep-alive requests, by result",
      "result",
      read,
      (stats) => stats.keepAlives,
    ),
    counter("leaks", "Bodies that nobody read", (stats) => stats.leaks),
    connectDuration(labelOf),
    waitDuration(labelOf),
    requestDuration(labelOf),
  ];
}

function scalar(
  type: "counter" | "gauge",
  name: string,
  help: string,
  unit: string,
  read: () => readonly UpstreamStats[],
  value: Read,
): ScalarFamily {
  const sample = ({ upstream, stats }: UpstreamStats): MetricSample => {
    return { value: value(stats), labels: { upstream } };
  };
  return { type, name, help, unit, labels: ["upstream"], read: () => read().map(sample) };
}

/** A counter with one sample for each key of a fixed record. */
function by(
  name: string,
  help: string,
  label: string,
  read: () => readonly UpstreamStats[],
  counts: (stats: PoolStats) => Readonly<Record<string, number>>,
): ScalarFamily {
  const samples = ({ upstream, stats }: UpstreamStats): readonly MetricSample[] =>
    Object.entries(counts(stats)).map(([key, value]) => {
      return { value, labels: { upstream, [label]: key } };
    });
  return {
    type: "counter",
    name: `http_pool_${name}_total`,
    help,
    unit: "",
    labels: ["upstream", label],
    read: () => read().flatMap(samples),
  };
}

function connectDuration(labelOf: (upstream: string) => string): HistogramFamily<OpenEvent> {
  return {
    type: "histogram",
    name: "http_pool_connect_duration_seconds",
    help: "Time to open a connection, TLS included",
    unit: "seconds",
    labels: ["upstream"],
    event: "open",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    value: ({ durationMs }) => durationMs / 1000,
    labelsOf: ({ upstream }) => ({ upstream: labelOf(upstream) }),
  };
}

function waitDuration(labelOf: (upstream: string) => string): HistogramFamily<WaitEvent> {
  return {
    type: "histogram",
    name: "http_pool_wait_duration_seconds",
    help: "Time a request waited for a connection, when it had to",
    unit: "seconds",
    labels: ["upstream"],
    event: "wait",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    value: ({ waitMs }) => waitMs / 1000,
    labelsOf: ({ upstream }) => ({ upstream: labelOf(upstream) }),
  };
}

function requestDuration(labelOf: (upstream: string) => string): HistogramFamily<RequestEvent> {
  return {
    type: "histogram",
    name: "http_pool_request_duration_seconds",
    help: "Time from dispatch to the end of the response",
    unit: "seconds",
    labels: ["upstream", "outcome"],
    event: "request",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    value: ({ durationMs }) => durationMs / 1000,
    labelsOf: ({ upstream, outcome }) => ({ upstream: labelOf(upstream), outcome }),
  };
}
