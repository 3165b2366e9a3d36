import type { BatchController, BatchRecord, BatchSettings } from "../../src/index.ts";

export interface AimdOptions {
  readonly maxBatchSize: number;
  readonly maxConcurrentBatches: number;
  readonly latencyObjectiveMs: number;
}

/**
 * Additive increase, multiplicative decrease (Chiu and Jain, 1989), on size and on concurrency in turn: 10 items or one call more
 * after a round within the objective; half of both when a call is late or fails, at most once a round.
 */
export class AimdController implements BatchController {
  readonly #options: AimdOptions;
  #settings: BatchSettings = { size: 100, concurrency: 4, lingerMs: 0 };
  #calls = 0;
  #turn = 0;

  constructor(options: AimdOptions) {
    this.#options = options;
  }

  next(): BatchSettings {
    return this.#settings;
  }

  record({ durationMs, outcome, settings }: BatchRecord): void {
    if (settings !== this.#settings) return;
    const { size, concurrency } = this.#settings;
    const { latencyObjectiveMs, maxBatchSize, maxConcurrentBatches } = this.#options;
    if (durationMs > latencyObjectiveMs || outcome !== "ok") {
      const [half, fewer] = [Math.ceil(size / 2), Math.ceil(concurrency / 2)];
      return this.#use({ size: half, concurrency: fewer, lingerMs: 0 });
    }
    this.#calls += 1;
    if (this.#calls < concurrency) return;
    this.#turn += 1;
    if (this.#turn % 2 === 0)
      this.#use({ size: Math.min(size + 10, maxBatchSize), concurrency, lingerMs: 0 });
    else
      this.#use({
        size,
        concurrency: Math.min(concurrency + 1, maxConcurrentBatches),
        lingerMs: 0,
      });
  }

  #use(settings: BatchSettings): void {
    this.#settings = settings;
    this.#calls = 0;
  }
}
