import type { BatchController, BatchOutcome, BatchSettings } from "../../src/index.ts";
import { defaults, resolveOptions } from "../../src/options.ts";
import { Sizing } from "../../src/sizing.ts";
import type { CostModel } from "./cost-model.ts";
import { EventHeap } from "./event-heap.ts";
import { Random } from "./random.ts";

export const maxBatchSize = 1_000;
export const maxConcurrentBatches = 32;

export interface Run {
  /** Items per second of busy time that succeeded within the objective. */
  readonly goodput: number;
  /** The same, of the second half alone. */
  readonly settledGoodput: number;
  /** Share of the calls that were later than the objective, or lost. */
  readonly late: number;
  readonly calls: number;
  readonly trace: readonly Point[];
  readonly controller: Readonly<Record<string, number | string | boolean>>;
}

/** A call that ended. */
export interface Point {
  readonly startedAtMs: number;
  readonly atMs: number;
  readonly items: number;
  readonly size: number;
  readonly concurrency: number;
}

export interface RunOptions {
  readonly seed: number;
  /** Of busy time: pauses between bursts do not count. */
  readonly durationMs: number;
  readonly traced?: boolean;
}

export type Strategy = "adaptive" | "fixed" | ((model: CostModel) => BatchController);

interface Call {
  readonly size: number;
  readonly attempt: number;
  /** Halves still to be sent in this slot after a refusal; below 0 the refused size, to be reported when its halves have passed. */
  readonly rest: readonly number[];
  readonly settings: BatchSettings;
  readonly saturated: boolean;
  readonly startedAtMs: number;
  readonly outcome: BatchOutcome;
}

/**
 * The dispatcher, the slots and the backend in virtual time, around the package's own `Sizing` and controllers. It knows refusals,
 * splits and time-outs; neither retries nor searches nor items that fail.
 */
export class Simulation {
  readonly #model: CostModel;
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #backend;
  readonly #sizing: Sizing;
  readonly #ends = new EventHeap<Call>();
  readonly #trace: Point[] = [];
  #nowMs = 0;
  #queued: number;
  #nextBurstMs: number;
  #batchId = 0;
  #onTime = 0;
  #onTimeHalf = 0;
  #busyMs = 0;
  #calls = 0;
  #late = 0;

  constructor(strategy: Strategy, model: CostModel, options: RunOptions) {
    this.#model = model;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#backend = model.start();
    this.#sizing = sizingOf(strategy, model);
    this.#queued = model.bursts === undefined ? Infinity : 0;
    this.#nextBurstMs = model.bursts === undefined ? Infinity : 0;
  }

  run(): Run {
    while (this.#busyMs < this.#options.durationMs) this.#step();
    return {
      goodput: (this.#onTime / Math.max(this.#busyMs, 0.001)) * 1_000,
      settledGoodput:
        (this.#onTimeHalf / Math.max(this.#busyMs - this.#options.durationMs / 2, 0.001)) * 1_000,
      late: this.#late / Math.max(this.#calls, 1),
      calls: this.#calls,
      trace: this.#trace,
      controller: this.#sizing.controllerStats,
    };
  }

  #step(): void {
    this.#dispatch();
    const endsAtMs = this.#ends.nextAt;
    if (this.#nextBurstMs <= endsAtMs) return this.#arrive();
    this.#busyMs += endsAtMs - this.#nowMs;
    this.#nowMs = endsAtMs;
    const call = this.#ends.pop();
    if (call !== undefined) this.#end(call);
  }

  #arrive(): void {
    const { everyMs, items } = this.#model.bursts ?? { everyMs: Infinity, items: 0 };
    if (this.#ends.size > 0) this.#busyMs += this.#nextBurstMs - this.#nowMs;
    this.#nowMs = this.#nextBurstMs;
    this.#queued = Math.min(this.#queued + items, items * 3);
    this.#nextBurstMs += everyMs * (0.5 + this.#random.uniform());
  }

  #dispatch(): void {
    while (this.#queued > 0) {
      const limits = this.#sizing.limits(this.#nowMs);
      if (this.#ends.size >= limits.concurrency) return;
      const size = Math.min(limits.size, this.#queued);
      this.#queued -= size;
      this.#sizing.started(limits.asked);
      const saturated = size >= limits.size;
      this.#call(size, 1, [], limits.asked, saturated);
    }
  }

  #call(
    size: number,
    attempt: number,
    rest: readonly number[],
    settings: BatchSettings,
    saturated: boolean,
  ): void {
    const { timeoutMs = defaults.batchTimeoutMs } = this.#model;
    const clean = this.#backend.durationMs(size, this.#ends.size + 1, this.#nowMs);
    const durationMs = clean * this.#noise();
    const refused = this.#backend.refuses?.(size, this.#nowMs) === true;
    const outcome = refused ? "too-large" : durationMs > timeoutMs ? "timeout" : "ok";
    const call = { size, attempt, rest, settings, saturated, startedAtMs: this.#nowMs, outcome };
    this.#ends.push(this.#nowMs + Math.min(durationMs, timeoutMs), call as Call);
  }

  #noise(): number {
    const { noise = 0.15, spikes } = this.#model;
    const factor = Math.exp(noise * this.#random.normal());
    return spikes !== undefined && this.#random.uniform() < spikes.share
      ? factor * spikes.times
      : factor;
  }

  #end(call: Call): void {
    const { size, attempt, outcome, settings, saturated, startedAtMs } = call;
    const durationMs = this.#nowMs - startedAtMs;
    const succeeded = outcome === "ok" ? size : 0;
    if (attempt === 1) this.#batchId += 1;
    this.#count(succeeded, durationMs, call);
    this.#sizing.record({
      batchId: this.#batchId,
      attempt,
      size,
      succeeded,
      failed: size - succeeded,
      outcome,
      startedAtMs,
      durationMs,
      waitMs: 0,
      saturated,
      settings,
    });
    const half = size >> 1;
    const refused = outcome === "too-large" && size > 1;
    let rest = refused ? [half, size - half, -size, ...call.rest] : call.rest;
    for (; (rest[0] ?? 0) < 0; rest = rest.slice(1))
      this.#sizing.refuse(-(rest[0] ?? 0), this.#nowMs);
    const [next] = rest;
    if (next === undefined) return;
    this.#sizing.repeated(settings, this.#nowMs);
    this.#call(next, attempt + 1, rest.slice(1), settings, saturated);
  }

  #count(succeeded: number, durationMs: number, { settings, startedAtMs, outcome }: Call): void {
    const late = durationMs > this.#model.objectiveMs || outcome === "timeout";
    this.#calls += 1;
    if (late) this.#late += 1;
    const items = late ? 0 : succeeded;
    this.#onTime += items;
    if (this.#busyMs > this.#options.durationMs / 2) this.#onTimeHalf += items;
    if (this.#options.traced !== true) return;
    const { size, concurrency } = settings;
    this.#trace.push({ startedAtMs, atMs: this.#nowMs, items, size, concurrency });
  }
}

export function simulate(strategy: Strategy, model: CostModel, options: RunOptions): Run {
  return new Simulation(strategy, model, options).run();
}

function sizingOf(strategy: Strategy, model: CostModel): Sizing {
  const adaptive = strategy === "adaptive";
  const limits =
    strategy === "fixed"
      ? { maxBatchSize: 100, maxConcurrentBatches: 4 }
      : { maxBatchSize, maxConcurrentBatches };
  const { tunables } = resolveOptions({
    ...limits,
    adaptiveSizing: adaptive,
    latencyObjectiveMs: model.objectiveMs,
  });
  const controller = typeof strategy === "function" ? strategy(model) : undefined;
  return new Sizing(tunables, { controller, load: undefined });
}
