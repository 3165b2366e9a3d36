import { InvalidArgumentError } from "./errors.ts";
import { abortSignal, atMost, duration, fn, integer, record } from "./options.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

export type Priority = "high" | "normal" | "low";

/** Highest first. */
export const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

export interface ResourcePoolOptions {
  /** Sum of the weights that may be out at once. */
  readonly capacity: number;
  readonly queueLimit?: number;
  readonly acquireTimeoutMs?: number;
  /** A waiter counts as one priority higher for each time it has waited this long; `false` keeps priorities strict. */
  readonly agingMs?: number | false;
  /** A permit held for longer is reported as `longHold`; off by default. */
  readonly maxHoldMs?: number;
  /** Share of permits (0 to 1) whose stack is kept, to be reported with a long hold. */
  readonly stackSampleRatio?: number;
  /** Labels the metrics, so that several pools can be told apart. */
  readonly name?: string;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly schedule?: Schedule;
}

export type ResolvedPoolOptions = Required<Omit<ResourcePoolOptions, "maxHoldMs" | "agingMs">> & {
  /** Infinity when priorities are strict. */
  readonly agingMs: number;
  readonly maxHoldMs: number | undefined;
};

export interface AcquireOptions {
  readonly weight?: number;
  readonly priority?: Priority;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface AcquireRequest {
  readonly weight: number;
  readonly priority: Priority;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolvePoolOptions(options: ResourcePoolOptions): ResolvedPoolOptions {
  record("options", options);
  const { maxHoldMs, agingMs = 10_000, stackSampleRatio = 0.01, name = "default" } = options;
  if (!(stackSampleRatio >= 0 && stackSampleRatio <= 1))
    throw new InvalidArgumentError("stackSampleRatio", "a ratio from 0 to 1", stackSampleRatio);
  if (typeof name !== "string" || name === "")
    throw new InvalidArgumentError("name", "a string that is not empty", name);
  return {
    capacity: integer("capacity", options.capacity, 1),
    queueLimit: integer("queueLimit", options.queueLimit ?? 1000, 0),
    acquireTimeoutMs: duration("acquireTimeoutMs", options.acquireTimeoutMs ?? 30_000),
    agingMs: agingMs === false ? Number.POSITIVE_INFINITY : duration("agingMs", agingMs),
    maxHoldMs: maxHoldMs === undefined ? undefined : duration("maxHoldMs", maxHoldMs),
    stackSampleRatio,
    name,
    now: fn("now", options.now ?? monotonicNow),
    random: fn("random", options.random ?? Math.random),
    schedule: fn("schedule", options.schedule ?? unrefSchedule),
  };
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveAcquire(
  options: AcquireOptions,
  acquireTimeoutMs: number,
  capacity: number,
): AcquireRequest {
  record("options", options);
  const { weight = 1, priority = "normal", signal } = options;
  checkWeight(weight, capacity);
  if (!PRIORITIES.includes(priority))
    throw new InvalidArgumentError("priority", "high, normal or low", priority);
  const timeoutMs = duration("timeoutMs", options.timeoutMs ?? acquireTimeoutMs);
  abortSignal("signal", signal);
  return { weight, priority, timeoutMs, signal };
}

export function checkWeight(weight: number, capacity: number): void {
  atMost("weight", integer("weight", weight, 1), "the pool's capacity", capacity);
}
