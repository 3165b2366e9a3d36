import { PerformanceObserver, constants } from "node:perf_hooks";
import type { PerformanceEntry } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { EventEmitter } from "eventemitter3";
import { EventLoopMonitor } from "./event-loop.ts";
import type { LoopDelay } from "./event-loop.ts";
import type { HistogramFamily, MetricFamily, ScalarFamily } from "./metric-families.ts";
import { maxDescriptors, memoryLimitBytes, openDescriptors } from "./process-limits.ts";
import { safely } from "./safe-emit.ts";

export interface GcEvent {
  readonly kind: string;
  readonly durationSeconds: number;
}

const GC_KINDS = new Map<unknown, string>([
  [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
  [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
]);

/** The process itself, under the names of the Prometheus clients. */
export class RuntimeMetrics extends EventEmitter<{ gc: [event: GcEvent] }> implements Disposable {
  readonly #loop: EventLoopMonitor;
  readonly #gc: PerformanceObserver;
  readonly #startSeconds = Date.now() / 1000 - process.uptime();
  readonly #maxDescriptors = maxDescriptors();

  constructor(now: () => number) {
    super();
    this.#loop = new EventLoopMonitor(now);
    this.#gc = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) safely(() => this.emit("gc", gcEvent(entry)));
    });
    this.#gc.observe({ entryTypes: ["gc"] });
  }

  metricFamilies(): readonly MetricFamily[] {
    return [...this.#processFamilies(), ...heapFamilies, ...this.#loopFamilies(), gcDuration];
  }

  [Symbol.dispose](): void {
    this.#gc.disconnect();
    this.#loop[Symbol.dispose]();
    this.removeAllListeners();
  }

  #processFamilies(): readonly ScalarFamily[] {
    const rss = "Resident memory of the process";
    const limit = "Memory the control group of the process allows it; absent without a limit";
    const open = "Open file descriptors; absent where the system does not say";
    const max = "Most file descriptors the process may open; absent without a limit";
    return [
      scalar(
        "counter",
        "process_cpu_seconds_total",
        "CPU time, user and system",
        "seconds",
        cpuSeconds,
      ),
      gauge(
        "process_start_time_seconds",
        "Unix time the process started",
        "seconds",
        () => this.#startSeconds,
      ),
      gauge("process_resident_memory_bytes", rss, "bytes", () => process.memoryUsage.rss()),
      gauge("process_memory_limit_bytes", limit, "bytes", () => memoryLimitBytes()),
      gauge("process_open_fds", open, "", () => openDescriptors()),
      gauge("process_max_fds", max, "", () => this.#maxDescriptors),
    ];
  }

  #loopFamilies(): readonly ScalarFamily[] {
    const lag = (name: keyof LoopDelay, help: string): ScalarFamily => {
      const read = () => this.#loop.delay()[name];
      return gauge(`nodejs_eventloop_lag_${name}_seconds`, help, "seconds", read);
    };
    const utilization = "Share of the time the event loop was busy, over the last 30 to 60 seconds";
    return [
      lag("mean", "Mean delay of the event loop over the last 30 to 60 seconds"),
      lag("p50", "Median delay of the event loop over the last 30 to 60 seconds"),
      lag("p90", "90th percentile of the event loop's delay over the last 30 to 60 seconds"),
      lag("p99", "99th percentile of the event loop's delay over the last 30 to 60 seconds"),
      lag("max", "Longest delay of the event loop over the last 30 to 60 seconds"),
      gauge("nodejs_eventloop_utilization_ratio", utilization, "ratio", () =>
        this.#loop.utilization(),
      ),
    ];
  }
}

const heapFamilies: readonly ScalarFamily[] = [
  gauge(
    "nodejs_heap_size_total_bytes",
    "Heap V8 has reserved",
    "bytes",
    () => getHeapStatistics().total_heap_size,
  ),
  gauge(
    "nodejs_heap_size_used_bytes",
    "Heap in use",
    "bytes",
    () => getHeapStatistics().used_heap_size,
  ),
  gauge(
    "nodejs_heap_size_limit_bytes",
    "Heap at which V8 gives up",
    "bytes",
    () => getHeapStatistics().heap_size_limit,
  ),
  gauge(
    "nodejs_external_memory_bytes",
    "Memory of objects outside the heap",
    "bytes",
    () => getHeapStatistics().external_memory,
  ),
];

const gcDuration: HistogramFamily<GcEvent> = {
  type: "histogram",
  name: "nodejs_gc_duration_seconds",
  help: "Garbage collections by kind: major, minor, incremental, weakcb or other",
  unit: "seconds",
  labels: ["kind"],
  event: "gc",
  buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  value: ({ durationSeconds }) => durationSeconds,
  labelsOf: ({ kind }) => ({ kind }),
};

function gcEvent(entry: PerformanceEntry): GcEvent {
  const { detail } = entry as { readonly detail?: unknown };
  const { kind } = (detail ?? {}) as { readonly kind?: unknown };
  return { kind: GC_KINDS.get(kind) ?? "other", durationSeconds: entry.duration / 1000 };
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function gauge(
  name: string,
  help: string,
  unit: string,
  value: () => number | undefined,
): ScalarFamily {
  return scalar("gauge", name, help, unit, value);
}

function scalar(
  type: "counter" | "gauge",
  name: string,
  help: string,
  unit: string,
  value: () => number | undefined,
): ScalarFamily {
  const read = () => {
    const current = value();
    return current === undefined ? [] : [{ value: current }];
  };
  return { type, name, help, unit, labels: [], read };
}
