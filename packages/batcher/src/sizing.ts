import { AdaptiveController } from "./adaptive-controller.ts";
import type { BatchController, BatchRecord, BatchSettings } from "./controller.ts";
import type { Limits } from "./dispatcher.ts";
import { FixedController } from "./fixed-controller.ts";
import type { LoadReading } from "./growth-brake.ts";
import type { Tunables } from "./options.ts";
import { SizeCeiling } from "./size-ceiling.ts";

const homeSize = 100;
const homeConcurrency = 4;

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
  #nowMs = 0;
  #errors = 0;

  constructor(tunables: Tunables, { controller: custom, load }: SizingParts) {
    this.#custom = custom;
    this.#load = load;
    this.#tunables = tunables;
    this.#controller = custom ?? this.#builtIn(tunables);
  }

  get errors(): number {
    return this.#errors;
  }

  get controllerStats(): Readonly<Record<string, number | string | boolean>> {
    return this.#guard(() => this.#controller.stats?.()) ?? {};
  }

  /** A new built-in controller starts from what the new limits say; a custom one is only clamped to them. */
  retune(tunables: Tunables): void {
    this.#tunables = tunables;
    this.#controller = this.#custom ?? this.#builtIn(tunables);
  }

  limits(now: number): Limits {
    const { maxBatchSize, maxConcurrentBatches, lingerMs } = this.#tunables;
    this.#nowMs = now;
    const asked = this.#ask();
    const safe = this.#ceiling.at(now);
    const most = asked.probing === true ? Math.max(safe, this.#ceiling.refused - 1) : safe;
    return {
      asked,
      size: clamp(asked.size, 1, Math.min(maxBatchSize, most)),
      concurrency: clamp(asked.concurrency, 1, maxConcurrentBatches),
      lingerMs: Math.min(Math.max(asked.lingerMs, 0), lingerMs),
    };
  }

  started(settings: BatchSettings): void {
    this.#guard(() => this.#controller.started?.(settings, this.#nowMs));
  }

  record(batch: BatchRecord): void {
    const { durationMs, outcome, size, startedAtMs } = batch;
    this.#nowMs = startedAtMs + durationMs;
    if (outcome === "timeout") this.#ceiling.timeout(size, this.#nowMs);
    if (batch.succeeded > 0) this.#ceiling.pass(size);
    this.#guard(() => this.#controller.record(batch));
  }

  /** `limit`: what the server says it takes. */
  refuse(size: number, now: number, limit?: number): void {
    this.#ceiling.refuse(size, now, limit);
  }

  #builtIn(tunables: Tunables): BatchController {
    const { maxBatchSize, maxConcurrentBatches, lingerMs, latencyObjectiveMs } = tunables;
    if (!tunables.adaptiveSizing)
      return new FixedController({
        size: maxBatchSize,
        concurrency: maxConcurrentBatches,
        lingerMs,
      });
    return new AdaptiveController({
      maxBatchSize,
      maxConcurrentBatches,
      home: {
        size: Math.min(homeSize, maxBatchSize),
        concurrency: Math.min(homeConcurrency, maxConcurrentBatches),
        lingerMs,
      },
      safeSize: () => this.#ceiling.at(this.#nowMs),
      refusedSize: () => this.#ceiling.refused,
      ...(this.#load === undefined ? {} : { load: this.#load }),
      ...(latencyObjectiveMs === undefined ? {} : { latencyObjectiveMs }),
    });
  }

  #ask(): BatchSettings {
    const asked = this.#guard(() => this.#controller.next());
    if (asked !== undefined && isSettings(asked)) return asked;
    if (asked !== undefined) this.#errors += 1;
    const { maxBatchSize, maxConcurrentBatches, lingerMs } = this.#tunables;
    return { size: maxBatchSize, concurrency: maxConcurrentBatches, lingerMs };
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
