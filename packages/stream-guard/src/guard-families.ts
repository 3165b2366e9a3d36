import { boundedReason } from "./guard-counts.ts";
import type { StreamGuardStats } from "./guard-counts.ts";
import type { CloseEvent, WaitEvent } from "./guard-events.ts";
import { MEMORY_LEVELS } from "./level.ts";
import { scalar, scalarBy } from "./metric-families.ts";
import type { HistogramFamily, MetricFamily } from "./metric-families.ts";

const KIB = 1024;

export function guardFamilies(stats: () => StreamGuardStats): readonly MetricFamily[] {
  return [
    scalar(
      "gauge",
      "stream_guard_memory_used_bytes",
      "Bytes reserved by all sessions",
      "bytes",
      () => stats().usedBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_memory_limit_bytes",
      "Bytes all sessions may reserve",
      "bytes",
      () => stats().limitBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_memory_peak_bytes",
      "Most bytes ever reserved at once",
      "bytes",
      () => stats().peakBytes,
    ),
    scalar("gauge", "stream_guard_sessions", "Sessions open", "", () => stats().sessions),
    scalar(
      "gauge",
      "stream_guard_sessions_limit",
      "Sessions that may be open",
      "",
      () => stats().maxSessions,
    ),
    scalar(
      "gauge",
      "stream_guard_waiting_reservations",
      "Reservations waiting for room",
      "",
      () => stats().waiting,
    ),
    ...principalFamilies(stats),
    ...pauseFamilies(stats),
    scalarBy("gauge", "stream_guard_level", "1 for the level the guard is at", "level", () =>
      levelFlags(stats()),
    ),
    scalar(
      "counter",
      "stream_guard_sessions_opened_total",
      "Sessions opened",
      "",
      () => stats().opened,
    ),
    scalarBy(
      "counter",
      "stream_guard_sessions_closed_total",
      "Sessions closed, by reason",
      "reason",
      () => stats().closed,
    ),
    scalarBy(
      "counter",
      "stream_guard_sessions_evicted_total",
      "Sessions closed under pressure, by what they did",
      "reason",
      () => stats().evicted,
    ),
    scalarBy(
      "counter",
      "stream_guard_sessions_rejected_total",
      "Sessions refused, by reason",
      "reason",
      () => stats().rejected,
    ),
    scalarBy(
      "counter",
      "stream_guard_reservations_refused_total",
      "Reservations refused, by whose limit",
      "scope",
      () => stats().limited,
    ),
    scalar(
      "counter",
      "stream_guard_soft_limits_total",
      "Times a session crossed 90 % of its limit",
      "",
      () => stats().softLimits,
    ),
    sessionDuration,
    sessionPeak,
    reserveWait,
  ];
}

/** About all principals together: a label with their names would have no bound. */
function principalFamilies(stats: () => StreamGuardStats): readonly MetricFamily[] {
  return [
    scalar(
      "gauge",
      "stream_guard_principals",
      "Principals with open sessions",
      "",
      () => stats().principals,
    ),
    scalar(
      "gauge",
      "stream_guard_principal_limit_bytes",
      "Bytes the sessions of one principal may reserve",
      "bytes",
      () => stats().principalLimitBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_principal_most_bytes",
      "Bytes reserved by the principal that holds most",
      "bytes",
      () => stats().principalMostBytes,
    ),
  ];
}

function pauseFamilies(stats: () => StreamGuardStats): readonly MetricFamily[] {
  return [
    scalar(
      "gauge",
      "stream_guard_paused_sources",
      "Sources paused under pressure",
      "",
      () => stats().pausedSources,
    ),
    scalar(
      "counter",
      "stream_guard_source_pauses_total",
      "Times a source was paused under pressure",
      "",
      () => stats().pauses,
    ),
    scalar("counter", "stream_guard_hooks_total", "Cleanup hooks run", "", () => stats().hooksRun),
    scalar(
      "counter",
      "stream_guard_hook_errors_total",
      "Cleanup hooks that failed",
      "",
      () => stats().hookErrors,
    ),
  ];
}

const sessionDuration: HistogramFamily<CloseEvent> = {
  type: "histogram",
  name: "stream_guard_session_duration_seconds",
  help: "Time a session was open, by close reason",
  unit: "seconds",
  labels: ["reason"],
  event: "close",
  buckets: [0.01, 0.1, 1, 10, 60, 300, 1800, 7200, 28_800],
  value: ({ durationMs }) => durationMs / 1000,
  labelsOf: ({ reason }) => ({ reason: boundedReason(reason) }),
};

const sessionPeak: HistogramFamily<CloseEvent> = {
  type: "histogram",
  name: "stream_guard_session_peak_bytes",
  help: "Most bytes a session held at once",
  unit: "bytes",
  labels: [],
  event: "close",
  buckets: [1, 16, 64, 256, 1024, 4096, 8192, 65_536].map((size) => size * KIB),
  value: ({ peakBytes }) => peakBytes,
};

const reserveWait: HistogramFamily<WaitEvent> = {
  type: "histogram",
  name: "stream_guard_reserve_wait_seconds",
  help: "Time a reservation waited for room, when it had to",
  unit: "seconds",
  labels: [],
  event: "wait",
  buckets: [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  value: ({ waitMs }) => waitMs / 1000,
};

function levelFlags({ level }: StreamGuardStats): Record<string, number> {
  return Object.fromEntries(MEMORY_LEVELS.map((name) => [name, name === level ? 1 : 0]));
}
