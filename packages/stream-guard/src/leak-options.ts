import { InvalidArgumentError } from "./errors.ts";
import { observeMajorCollections } from "./major-collections.ts";
import type { MajorCollections } from "./major-collections.ts";
import { memoryLimitBytes } from "./memory-limits.ts";
import { atMost, bytes, duration, fn, integer } from "./options.ts";
import { readHeap } from "./process-memory.ts";
import type { HeapSample } from "./process-memory.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";
import type { StreamGuard } from "./stream-guard.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MAX_TRACKED = 1_000_000;
const MAX_KEPT = 10_000;
const MAX_HORIZON_HOURS = 24 * 365;

export interface LeakDetectorOptions {
  /** Its sessions and its ledger are watched. */
  readonly guard?: Pick<StreamGuard, "on" | "off" | "sessions" | "stats">;
  readonly intervalMs?: number;
  /** A session that holds bytes and has not moved for so long is a finding. */
  readonly holdTimeoutMs?: number;
  /** A session that holds nothing and has not moved for so long is a finding. */
  readonly openTimeoutMs?: number;
  /** A tracked handle open for so long is a finding, unless `track` says otherwise. */
  readonly handleTimeoutMs?: number;
  /** Major collections that what was closed may survive, and the time it has. */
  readonly zombieCollections?: number;
  readonly zombieAfterMs?: number;
  /** Zombies made at one place that make a finding. */
  readonly minZombies?: number;
  /** Share (0 to 1) of sessions and handles whose place is kept. */
  readonly stackSampleRatio?: number;
  readonly maxStacks?: number;
  /** Open handles, and closed things, that are watched at most. */
  readonly maxTracked?: number;
  readonly maxFindings?: number;
  /** Handles dropped at a place are over when there was none for so long. */
  readonly rearmMs?: number;
  /** Growth of the heap matters if it would fill `limitBytes` within so many hours; 128 KiB/h at least and 1 MiB/h at most. */
  readonly heapHorizonHours?: number;
  readonly limitBytes?: number;
  /** What memory in use grows with; the guard's open sessions by default. */
  readonly load?: () => number;
  readonly sampleHeap?: () => HeapSample;
  readonly collections?: MajorCollections;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly schedule?: Schedule;
}

export type ResolvedLeakOptions = Required<Omit<LeakDetectorOptions, "guard">> &
  Pick<LeakDetectorOptions, "guard">;

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveLeakOptions(options: LeakDetectorOptions): ResolvedLeakOptions {
  const { guard, stackSampleRatio = 0.1 } = options;
  if (guard !== undefined && typeof guard.sessions !== "function")
    throw new InvalidArgumentError("guard", "a StreamGuard", guard);
  if (!(stackSampleRatio >= 0 && stackSampleRatio <= 1))
    throw new InvalidArgumentError("stackSampleRatio", "a ratio from 0 to 1", stackSampleRatio);
  return {
    ...(guard === undefined ? {} : { guard }),
    ...times(options),
    zombieCollections: bounded("zombieCollections", options.zombieCollections ?? 3, 2, 100),
    minZombies: bounded("minZombies", options.minZombies ?? 3, 1, MAX_TRACKED),
    stackSampleRatio,
    maxStacks: bounded("maxStacks", options.maxStacks ?? 200, 1, MAX_KEPT),
    maxTracked: bounded("maxTracked", options.maxTracked ?? 10_000, 1, MAX_TRACKED),
    maxFindings: bounded("maxFindings", options.maxFindings ?? 100, 1, MAX_KEPT),
    heapHorizonHours: bounded(
      "heapHorizonHours",
      options.heapHorizonHours ?? 720,
      1,
      MAX_HORIZON_HOURS,
    ),
    limitBytes: bytes("limitBytes", options.limitBytes ?? memoryLimitBytes(), 1),
    load: fn("load", options.load ?? (() => guard?.sessions().length ?? 0)),
    sampleHeap: fn("sampleHeap", options.sampleHeap ?? readHeap),
    collections: fn("collections", options.collections ?? observeMajorCollections),
    now: fn("now", options.now ?? monotonicNow),
    random: fn("random", options.random ?? Math.random),
    schedule: fn("schedule", options.schedule ?? unrefSchedule),
  };
}

type Times =
  | "intervalMs"
  | "holdTimeoutMs"
  | "openTimeoutMs"
  | "handleTimeoutMs"
  | "zombieAfterMs"
  | "rearmMs";

function times(options: LeakDetectorOptions): Pick<ResolvedLeakOptions, Times> {
  return {
    intervalMs: duration("intervalMs", options.intervalMs ?? MINUTE_MS),
    holdTimeoutMs: duration("holdTimeoutMs", options.holdTimeoutMs ?? 10 * MINUTE_MS),
    openTimeoutMs: duration("openTimeoutMs", options.openTimeoutMs ?? HOUR_MS),
    handleTimeoutMs: duration("handleTimeoutMs", options.handleTimeoutMs ?? HOUR_MS),
    zombieAfterMs: duration("zombieAfterMs", options.zombieAfterMs ?? MINUTE_MS),
    rearmMs: duration("rearmMs", options.rearmMs ?? HOUR_MS),
  };
}

function bounded(name: string, value: unknown, min: number, max: number): number {
  const whole = integer(name, value, min);
  atMost(name, whole, "its bound", max);
  return whole;
}
