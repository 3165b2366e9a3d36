import { EventEmitter } from "eventemitter3";
import { InvalidArgumentError } from "./errors.ts";
import { LevelGauge, resolveLevels } from "./level.ts";
import type { LevelThresholds, MemoryLevel } from "./level.ts";
import { MemoryHooks } from "./memory-hooks.ts";
import type { HookErrorEvent, HookLevel } from "./memory-hooks.ts";
import { memoryBounds, realEnvironment } from "./memory-limits.ts";
import type { MemoryEnvironment } from "./memory-limits.ts";
import type { MetricFamily } from "./metric-families.ts";
import { monitorFamilies } from "./monitor-families.ts";
import type { MemoryLimits, MemoryMonitorStats, MemorySample } from "./monitor-families.ts";
import { bytes, duration, fn, record } from "./options.ts";
import { safely } from "./safe-emit.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

export interface MemoryMonitorOptions {
  /**
   * One limit for heap and RSS. By default the real ones, read anew at every check: the heap is held
   * against V8's, the working set of each control group against that group's, RSS against the machine's.
   */
  readonly limitBytes?: number;
  readonly levels?: Partial<LevelThresholds>;
  readonly sample?: () => MemorySample;
  /** Where the real limits are read from. */
  readonly environment?: Partial<MemoryEnvironment>;
  readonly intervalMs?: number;
  readonly now?: () => number;
  readonly schedule?: Schedule;
}

export interface MonitorLevelEvent extends MemorySample {
  readonly level: MemoryLevel;
  readonly previous: MemoryLevel;
  readonly ratio: number;
}

export interface MemoryMonitorEvents {
  level: [MonitorLevelEvent];
  hookError: [HookErrorEvent];
}

/** Frees memory: shrinks a cache, drops a pool's spare connections. */
export type MemoryHook = (event: MonitorLevelEvent) => void | Promise<void>;
const DEFAULT_INTERVAL_MS = 1000;

/** Follows the memory of the process and runs cleanup hooks as it gets short. */
export class MemoryMonitor extends EventEmitter<MemoryMonitorEvents> {
  readonly #limitBytes: number | undefined;
  readonly #environment: MemoryEnvironment;
  readonly #gauge: LevelGauge;
  readonly #sample: () => MemorySample;
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  readonly #hooks = new MemoryHooks<MonitorLevelEvent>((event) => {
    this.emit("hookError", event);
  });
  #last: MemorySample = { heapUsedBytes: 0, rssBytes: 0 };
  #limits: MemoryLimits;
  #checks = 0;
  #checkedAt: number | undefined;
  #cancel: (() => void) | undefined;

  /** @throws InvalidArgumentError */
  constructor(options: MemoryMonitorOptions = {}) {
    super();
    record("options", options);
    const { limitBytes } = options;
    if (limitBytes !== undefined) bytes("limitBytes", limitBytes, 1);
    this.#limitBytes = limitBytes;
    this.#environment = { ...realEnvironment, ...options.environment };
    this.#gauge = new LevelGauge(resolveLevels(options.levels));
    this.#sample = fn("sample", options.sample ?? sampleProcess);
    this.#intervalMs = duration("intervalMs", options.intervalMs ?? DEFAULT_INTERVAL_MS);
    this.#now = fn("now", options.now ?? monotonicNow);
    this.#schedule = fn("schedule", options.schedule ?? unrefSchedule);
    this.#limits = this.#readLimits(0);
  }

  get level(): MemoryLevel {
    return this.#gauge.level;
  }

  /**
   * Runs `hook` whenever the level rises to `level` or beyond, and never twice at once. What it throws
   * is reported as `hookError`. Returns a function that takes the hook away again.
   *
   * @throws InvalidArgumentError
   */
  addHook(level: HookLevel, hook: MemoryHook): () => void {
    return this.#hooks.add(level, hook);
  }

  /**
   * Takes a sample now, and reads the limits anew.
   *
   * @throws InvalidArgumentError when `sample` gives something else than bytes; nothing changes
   */
  check(): MemoryLevel {
    const last = checkedSample(this.#sample());
    this.#limits = this.#readLimits(last.rssBytes);
    this.#last = last;
    this.#checks += 1;
    this.#checkedAt = this.#now();
    const ratio = this.#ratio();
    const previous = this.#gauge.update(ratio);
    if (previous !== undefined) {
      const { level } = this;
      this.#onLevel({ level, previous, ratio, ...this.#last });
    }
    return this.level;
  }

  /** Takes a sample now and every `intervalMs`, without keeping the process alive. */
  start(): this {
    if (this.#cancel === undefined) this.#tick();
    return this;
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  stats(): MemoryMonitorStats {
    return {
      ...this.#last,
      level: this.level,
      ratio: this.#ratio(),
      ...this.#limits,
      checks: this.#checks,
      checkedAt: this.#checkedAt,
      hooksRun: this.#hooks.started,
      hookErrors: this.#hooks.errors,
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return monitorFamilies(() => this.stats());
  }

  #tick(): void {
    this.#cancel = this.#schedule(() => {
      this.#tick();
    }, this.#intervalMs);
    safely(() => this.check());
  }

  #ratio(): number {
    const { heapLimitBytes, boundUsedBytes, boundLimitBytes } = this.#limits;
    return Math.max(this.#last.heapUsedBytes / heapLimitBytes, boundUsedBytes / boundLimitBytes);
  }

  #readLimits(rssBytes: number): MemoryLimits {
    const bounds =
      this.#limitBytes === undefined
        ? memoryBounds(this.#environment)
        : [{ limitBytes: this.#limitBytes, usedBytes: undefined }];
    const used = bounds.map(({ limitBytes, usedBytes = rssBytes }) => ({ limitBytes, usedBytes }));
    const tightest = used.toSorted(
      (a, b) => b.usedBytes / b.limitBytes - a.usedBytes / a.limitBytes,
    );
    return {
      heapLimitBytes: this.#limitBytes ?? this.#environment.heapLimitBytes(),
      rssLimitBytes: Math.min(...bounds.map(({ limitBytes }) => limitBytes)),
      boundUsedBytes: tightest[0]?.usedBytes ?? rssBytes,
      boundLimitBytes: tightest[0]?.limitBytes ?? Number.POSITIVE_INFINITY,
    };
  }

  #onLevel(event: MonitorLevelEvent): void {
    safely(() => this.emit("level", event));
    this.#hooks.onLevel(event);
  }
}

function sampleProcess(): MemorySample {
  const { heapUsed, rss } = process.memoryUsage();
  return { heapUsedBytes: heapUsed, rssBytes: rss };
}

function checkedSample(sample: MemorySample): MemorySample {
  for (const bytesNow of [sample?.heapUsedBytes, sample?.rssBytes]) {
    if (Number.isFinite(bytesNow) && bytesNow >= 0) continue;
    const expected = "{ heapUsedBytes, rssBytes }, both finite and >= 0";
    throw new InvalidArgumentError("sample", expected, bytesNow);
  }
  return sample;
}
