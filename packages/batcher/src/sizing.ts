import { AdaptiveController } from "./adaptive-controller.ts";
import type { BatchController, BatchRecord, BatchSettings } from "./controller.ts";
import type { Limits } from "./dispatcher.ts";
import { FixedController } from "./fixed-controller.ts";
import type { Tunables } from "./options.ts";
import { SizeCeiling } from "./size-ceiling.ts";

const homeSize = 100;
const homeConcurrency = 4;

/** Asks the controller and keeps its answer within the limits, whatever it is. */
export class Sizing {
  readonly #custom: BatchController | undefined;
  readonly #ceiling = new SizeCeiling();
  #tunables: Tunables;
  #controller: BatchController;
  #errors = 0;

  constructor(tunables: Tunables, custom: BatchController | undefined) {
    this.#custom = custom;
    this.#tunables = tunables;
    this.#controller = custom ?? builtIn(tunables);
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
    this.#controller = this.#custom ?? builtIn(tunables);
  }

  limits(now: number): Limits {
    const { maxBatchSize, maxConcurrentBatches, lingerMs } = this.#tunables;
    const asked = this.#ask();
    return {
      asked,
      size: clamp(asked.size, 1, Math.min(maxBatchSize, this.#ceiling.at(now))),
      concurrency: clamp(asked.concurrency, 1, maxConcurrentBatches),
      lingerMs: Math.min(Math.max(asked.lingerMs, 0), lingerMs),
    };
  }

  started(settings: BatchSettings): void {
    this.#guard(() => this.#controller.started?.(settings));
  }

  record(batch: BatchRecord): void {
    this.#guard(() => this.#controller.record(batch));
  }

  refuse(size: number, now: number): void {
    this.#ceiling.refuse(size, now);
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

function builtIn(tunables: Tunables): BatchController {
  const { maxBatchSize, maxConcurrentBatches, lingerMs, latencyObjectiveMs } = tunables;
  if (!tunables.adaptiveSizing)
    return new FixedController({ size: maxBatchSize, concurrency: maxConcurrentBatches, lingerMs });
  return new AdaptiveController({
    maxBatchSize,
    maxConcurrentBatches,
    home: {
      size: Math.min(homeSize, maxBatchSize),
      concurrency: Math.min(homeConcurrency, maxConcurrentBatches),
      lingerMs,
    },
    ...(latencyObjectiveMs === undefined ? {} : { latencyObjectiveMs }),
  });
}

function isSettings(asked: unknown): boolean {
  const { size, concurrency, lingerMs } = Object(asked) as Partial<BatchSettings>;
  return Number.isFinite(size) && Number.isFinite(concurrency) && Number.isFinite(lingerMs);
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(Math.floor(value), most));
}
