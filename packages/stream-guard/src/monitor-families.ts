import { MEMORY_LEVELS } from "./level.ts";
import type { MemoryLevel } from "./level.ts";
import { scalar, scalarBy } from "./metric-families.ts";
import type { MetricFamily } from "./metric-families.ts";

export interface MemorySample {
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
}

/** The limits at the last check. */
export interface MemoryLimits {
  readonly heapLimitBytes: number;
  /** The smallest of all limits beside the heap's. */
  readonly rssLimitBytes: number;
  /** The tightest of them, and what is held against it: a control group's working set, or the resident set. */
  readonly boundUsedBytes: number;
  readonly boundLimitBytes: number;
}

export interface MemoryMonitorStats extends MemorySample, MemoryLimits {
  readonly level: MemoryLevel;
  /** Use of the tightest limit, the heap's among them, 0 to 1 and beyond. */
  readonly ratio: number;
  readonly checks: number;
  /** When the last sample was taken, in milliseconds since the epoch. */
  readonly checkedAt: number | undefined;
  readonly hooksRun: number;
  readonly hookErrors: number;
}

export function monitorFamilies(stats: () => MemoryMonitorStats): readonly MetricFamily[] {
  return [
    scalar(
      "gauge",
      "stream_guard_process_heap_used_bytes",
      "Heap in use at the last check",
      "bytes",
      () => stats().heapUsedBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_heap_limit_bytes",
      "Limit the heap is held against",
      "bytes",
      () => stats().heapLimitBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_resident_bytes",
      "Resident set size at the last check",
      "bytes",
      () => stats().rssBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_resident_limit_bytes",
      "Smallest limit beside the heap's",
      "bytes",
      () => stats().rssLimitBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_bound_used_bytes",
      "What is held against the tightest limit beside the heap's",
      "bytes",
      () => stats().boundUsedBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_bound_limit_bytes",
      "The tightest limit beside the heap's: a control group's or the machine's",
      "bytes",
      () => stats().boundLimitBytes,
    ),
    scalar(
      "gauge",
      "stream_guard_process_memory_ratio",
      "Use of the tightest limit",
      "ratio",
      () => stats().ratio,
    ),
    scalarBy(
      "gauge",
      "stream_guard_process_level",
      "1 for the level the process is at",
      "level",
      () => {
        const { level } = stats();
        return Object.fromEntries(MEMORY_LEVELS.map((name) => [name, name === level ? 1 : 0]));
      },
    ),
    scalar(
      "counter",
      "stream_guard_process_hooks_total",
      "Cleanup hooks run",
      "",
      () => stats().hooksRun,
    ),
    scalar(
      "counter",
      "stream_guard_process_hook_errors_total",
      "Cleanup hooks that failed",
      "",
      () => stats().hookErrors,
    ),
  ];
}
