import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { LoadReading } from "./growth-brake.ts";

export interface ProcessLoadOptions {
  /** A reading younger than this many milliseconds is given again. Default 500. */
  readonly maxAgeMs?: number;
  readonly now?: () => number;
}

/**
 * A reader of this process's load for the option `load`: event-loop utilisation since the reading before, and the heap
 * against V8's limit or the resident set against the container's, whichever is fuller. For processors that wait for
 * others; one that works in this process keeps the loop busy at any size, and would be kept from growing.
 */
export function processLoad(options: ProcessLoadOptions = {}): () => LoadReading {
  const { maxAgeMs = 500, now = () => performance.now() } = options;
  let last = performance.eventLoopUtilization();
  let readAtMs = now();
  let reading: LoadReading = {
    eventLoopUtilization: last.utilization,
    memoryPressure: memoryPressure(),
  };
  return () => {
    const atMs = now();
    if (atMs - readAtMs < maxAgeMs) return reading;
    const current = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(current, last);
    last = current;
    readAtMs = atMs;
    reading = { eventLoopUtilization: utilization, memoryPressure: memoryPressure() };
    return reading;
  };
}

function memoryPressure(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  const container = process.constrainedMemory();
  // Without a limit it says 0 or, by version of Node, a number beyond any machine.
  const bounded = container > 0 && container < Number.MAX_SAFE_INTEGER;
  const resident = bounded ? process.memoryUsage.rss() / container : 0;
  return Math.min(1, Math.max(used / limit, resident));
}
