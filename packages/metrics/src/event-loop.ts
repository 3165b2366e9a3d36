import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { EventLoopUtilization, ELDHistogram } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const WINDOW_MS = 30_000;

/** What is used of the histogram of `monitorEventLoopDelay`. */
export type DelayHistogram = Pick<
  ELDHistogram,
  "count" | "mean" | "max" | "percentile" | "reset" | "enable" | "disable"
>;

interface Window {
  readonly delays: DelayHistogram;
  utilization: EventLoopUtilization;
  startedMs: number;
}

/** Delays of the event loop beyond the sampling interval, in seconds. */
export interface LoopDelay {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Event-loop delay and utilisation of the last 30 to 60 seconds, or since the last read when that is longer ago. Two windows take
 * turns, so that a reader never takes a peak away from another: any number of scrapers see the same.
 */
export class EventLoopMonitor {
  readonly #now: () => number;
  #older: Window;
  #younger: Window;

  constructor(now: () => number, monitor: () => DelayHistogram = monitorDelay) {
    this.#now = now;
    this.#older = openWindow(now(), monitor());
    this.#younger = openWindow(now(), monitor());
  }

  delay(): LoopDelay {
    const { delays } = this.#window();
    if (delays.count === 0) return { mean: 0, p50: 0, p90: 0, p99: 0, max: 0 };
    return {
      mean: lagSeconds(delays.mean),
      p50: lagSeconds(delays.percentile(50)),
      p90: lagSeconds(delays.percentile(90)),
      p99: lagSeconds(delays.percentile(99)),
      max: lagSeconds(delays.max),
    };
  }

  /** Share of the time the loop was not idle, 0 to 1. */
  utilization(): number {
    const { utilization } = performance.eventLoopUtilization(this.#window().utilization);
    return Math.min(1, Math.max(0, utilization));
  }

  [Symbol.dispose](): void {
    this.#older.delays.disable();
    this.#younger.delays.disable();
  }

  #window(): Window {
    const now = this.#now();
    const elapsedMs = now - this.#younger.startedMs;
    // Below 0 the clock was set back: the windows would stand still until it has caught up.
    if (elapsedMs >= WINDOW_MS || elapsedMs < 0) {
      const restarted = this.#older;
      restarted.delays.reset();
      restarted.utilization = performance.eventLoopUtilization();
      restarted.startedMs = now;
      this.#older = this.#younger;
      this.#younger = restarted;
    }
    return this.#older;
  }
}

function monitorDelay(): DelayHistogram {
  return monitorEventLoopDelay({ resolution: RESOLUTION_MS });
}

function openWindow(startedMs: number, delays: DelayHistogram): Window {
  delays.enable();
  return { delays, utilization: performance.eventLoopUtilization(), startedMs };
}

/** Node counts the sampling interval itself as delay: an idle loop reports 10 ms. */
function lagSeconds(delayNanos: number): number {
  return Math.max(0, delayNanos / 1e9 - RESOLUTION_MS / 1000);
}
