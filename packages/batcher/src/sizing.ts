import { AdaptiveController } from "./adaptive-controller.ts";
import type { AdaptiveControllerOptions } from "./adaptive-controller.ts";
import type { BatchController, BatchRecord, BatchSettings } from "./controller.ts";
import type { Limits } from "./dispatcher.ts";
import { FixedController } from "./fixed-controller.ts";
import type { LoadReading } from "./growth-brake.ts";
import type { TunableOptions, Tunables } from "./options.ts";
import { SizeCeiling } from "./size-ceiling.ts";

const homeSize = 100;
const homeConcurrency = 4;
const matters: readonly (keyof TunableOptions)[] = [
  "adaptiveSizing",
  "latencyObjectiveMs",
  "lingerMs",
  "maxBatchSize",
  "maxConcurrentBatches",
];

export interface SizingParts {
  readonly controller: BatchController | undefined;
  readonly load: (() => LoadReading) | undefined;
}

/** Asks the controller and keeps its answer within the limits, whatever it is. */
export class Sizing {
  readonly #custom: BatchController | undefined;
  readonly #load: (() => LoadReading) | undefined;
  readonly #ceiling = new SizeCeiling();
  #tunables: Tunables;
  #controller: BatchController;
  /** Kept while it is switched off, with what it has learned. */
  #adaptive: AdaptiveController | undefined = undefined;
  /** Whose settings a batch was sent with: a controller hears of its own batches alone. */
  readonly #owners = new WeakMap<BatchSettings, BatchController>();
  /** The answer that no batch was sent with yet. */
  #answer: BatchSettings | undefined = undefined;
  #lastAnswer: BatchSettings | undefined = undefined;
  #nowMs = 0;
  #errors = 0;

  constructor(tunables: Tunables, { controller: custom, load }: SizingParts) {
    this.#custom = custom;
    this.#load = load;
    this.#tunables = tunables;
    this.#controller = custom ?? this.#builtIn(this.#limitSettings);
  }

  get errors(): number {
    return this.#errors;
  }

  get controllerStats(): Readonly<Record<string, number | string | boolean>> {
    return this.#guard(() => this.#controller.stats?.()) ?? {};
  }

  /**
   * A custom controller is only clamped to the new limits; a built-in one goes on from what it has learned, within them. To
   * switch adaptive sizing off leads to the default 100 x 4, or to the limits named in the same change.
   */
  retune(tunables: Tunables, changes: TunableOptions): void {
    const before = this.#tunables;
    this.#tunables = tunables;
    this.#answer = undefined;
    if (this.#custom !== undefined) return;
    const stays = before.adaptiveSizing && tunables.adaptiveSizing;
    if (stays && matters.every((name) => tunables[name] === before[name])) return;
    const from = before.adaptiveSizing ? this.#home : this.#controller.next();
    const limits = this.#limitSettings;
    this.#controller = this.#builtIn({
      size: changes.maxBatchSize ?? Math.min(from.size, limits.size),
      concurrency: changes.maxConcurrentBatches ?? Math.min(from.concurrency, limits.concurrency),
      lingerMs: limits.lingerMs,
    });
  }

  /** What the next batch may be. */
  limits(now: number): Limits {
    this.#nowMs = now;
    this.#answer ??= this.#ask();
    return this.#clamp(this.#answer, now);
  }

  /** The same, without asking a custom controller. */
  peek(now: number): Limits {
    return this.#clamp(this.#known, now);
  }

  /** How many batches may run, without asking a custom controller. */
  slots(): number {
    return clamp(this.#known.concurrency, 1, this.#tunables.maxConcurrentBatches);
  }

  /** A batch is sent with the limits that were asked for last. */
  started(settings: BatchSettings): void {
    this.#answer = undefined;
    this.#owners.set(settings, this.#controller);
    this.repeated(settings, this.#nowMs);
  }

  /** A further call for a batch that was sent with these settings: a retry, or a part of it. */
  repeated(settings: BatchSettings, now: number): void {
    const owner = this.#owners.get(settings);
    this.#guard(() => owner?.started?.(settings, now));
  }

  record(batch: BatchRecord): void {
    const { durationMs, outcome, size, startedAtMs } = batch;
    this.#nowMs = startedAtMs + durationMs;
    this.#answer = undefined;
    // Of a size that passed before it is the other settings on trial that took too long.
    const trial = batch.settings.probing === true && size <= this.#ceiling.passed;
    if (outcome === "timeout" && !trial) this.#ceiling.timeout(size, this.#nowMs, durationMs);
    if (batch.succeeded > 0) this.#ceiling.pass(size, this.#nowMs, durationMs);
    const owner = this.#owners.get(batch.settings);
    this.#guard(() => owner?.record(batch));
  }

  /** `limit`: what the server says it takes. */
  refuse(size: number, now: number, limit?: number): void {
    this.#answer = undefined;
    this.#ceiling.refuse(size, now, limit);
  }

  /** A full batch failed as a whole, maybe for its size. */
  suspect(size: number, now: number): void {
    this.#answer = undefined;
    this.#ceiling.suspect(size, now);
  }

  #clamp(asked: BatchSettings, now: number): Limits {
    const { maxBatchSize, maxConcurrentBatches, lingerMs } = this.#tunables;
    const safe = this.#ceiling.at(now);
    const most = asked.probing === true ? Math.max(safe, this.#ceiling.refusedAt(now) - 1) : safe;
    return {
      asked,
      size: clamp(asked.size, 1, Math.min(maxBatchSize, most)),
      concurrency: clamp(asked.concurrency, 1, maxConcurrentBatches),
      lingerMs: Math.min(Math.max(asked.lingerMs, 0), lingerMs),
    };
  }

  #builtIn(fixed: BatchSettings): BatchController {
    if (!this.#tunables.adaptiveSizing) return new FixedController(fixed);
    if (this.#adaptive === undefined)
      this.#adaptive = new AdaptiveController(this.#adaptiveOptions);
    else this.#adaptive.retune(this.#adaptiveOptions);
    return this.#adaptive;
  }

  get #adaptiveOptions(): AdaptiveControllerOptions {
    const { maxBatchSize, maxConcurrentBatches, latencyObjectiveMs } = this.#tunables;
    return {
      maxBatchSize,
      maxConcurrentBatches,
      home: this.#home,
      safeSize: () => this.#ceiling.at(this.#nowMs),
      settledSize: () => this.#ceiling.settled,
      refusedSize: () => this.#ceiling.refusedAt(this.#nowMs),
      ...(this.#load === undefined ? {} : { load: this.#load }),
      ...(latencyObjectiveMs === undefined ? {} : { latencyObjectiveMs }),
    };
  }

  get #known(): BatchSettings {
    if (this.#answer !== undefined) return this.#answer;
    const known = this.#custom === undefined ? this.#controller.next() : this.#lastAnswer;
    return known ?? this.#limitSettings;
  }

  get #home(): BatchSettings {
    const { size, concurrency, lingerMs } = this.#limitSettings;
    return {
      size: Math.min(homeSize, size),
      concurrency: Math.min(homeConcurrency, concurrency),
      lingerMs,
    };
  }

  get #limitSettings(): BatchSettings {
    const { maxBatchSize, maxConcurrentBatches, lingerMs } = this.#tunables;
    return { size: maxBatchSize, concurrency: maxConcurrentBatches, lingerMs };
  }

  #ask(): BatchSettings {
    const asked = this.#guard(() => this.#controller.next());
    if (asked !== undefined && isSettings(asked)) return (this.#lastAnswer = asked);
    if (asked !== undefined) this.#errors += 1;
    return this.#limitSettings;
  }

  #guard<V>(call: () => V): V | undefined {
    try {
      return call();
    } catch {
      this.#errors += 1;
      return undefined;
    }
  }
}

function isSettings(asked: unknown): boolean {
  const { size, concurrency, lingerMs } = Object(asked) as Partial<BatchSettings>;
  return Number.isFinite(size) && Number.isFinite(concurrency) && Number.isFinite(lingerMs);
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(Math.floor(value), most));
}
