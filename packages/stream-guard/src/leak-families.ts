import type { LeakDetectorStats } from "./leak-detector.ts";
import { scalar, scalarBy } from "./metric-families.ts";
import type { MetricFamily } from "./metric-families.ts";

export function leakFamilies(stats: () => LeakDetectorStats): readonly MetricFamily[] {
  return [
    scalarBy(
      "gauge",
      "stream_guard_leak_findings",
      "Findings that hold now, by kind",
      "kind",
      () => stats().active,
    ),
    scalarBy(
      "counter",
      "stream_guard_leaks_total",
      "Findings that began, by kind",
      "kind",
      () => stats().found,
    ),
    gauge(
      "closed_uncollected",
      "Closed sessions and handles not collected yet",
      () => stats().closed,
    ),
    gauge("tracked_handles", "Handles open", () => stats().handles),
    counter("handles_dropped_total", "Handles collected unclosed", () => stats().droppedHandles),
    counter("untracked_total", "Things not watched, for lack of room", () => stats().untracked),
    counter("major_collections_total", "Major collections seen", () => stats().collections),
    bytes("heap_used_bytes", "Memory after the last major collection", () => stats().heapUsedBytes),
    bytes(
      "heap_hourly_growth_bytes",
      "Growth of the heap floor in an hour, 0 until it is known",
      () => stats().heapBytesPerHour ?? 0,
    ),
  ];
}

function counter(name: string, help: string, read: () => number): MetricFamily {
  return scalar("counter", `stream_guard_leak_${name}`, help, "", read);
}

function gauge(name: string, help: string, read: () => number): MetricFamily {
  return scalar("gauge", `stream_guard_leak_${name}`, help, "", read);
}

function bytes(name: string, help: string, read: () => number): MetricFamily {
  return scalar("gauge", `stream_guard_leak_${name}`, help, "bytes", read);
}
