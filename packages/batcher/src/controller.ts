/** What a batch may be: how many items, how many batches at once, and how long a partial batch waits for company. */
export interface BatchSettings {
  readonly size: number;
  readonly concurrency: number;
  readonly lingerMs: number;
  /** The size may exceed the learned ceiling, as far as the smallest size that was refused. */
  readonly probing?: boolean;
}

export type BatchOutcome = "ok" | "partial" | "failed" | "too-large" | "timeout";

/** Nothing of the call came through. */
export function isBroken(outcome: BatchOutcome): boolean {
  return outcome !== "ok" && outcome !== "partial";
}

/** One call of a processor, as it went. Also the payload of the `batch` event. */
export interface BatchRecord {
  readonly batchId: number;
  /** 1 for the first call with this batch, one more for each retry or part of it. */
  readonly attempt: number;
  readonly size: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly outcome: BatchOutcome;
  /** On the batcher's own clock (`now`). */
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** How long the first item taken had been queued. */
  readonly waitMs: number;
  /** The batch was as large as it was allowed to be: there was work enough. */
  readonly saturated: boolean;
  /** The very object the controller gave for this batch. */
  readonly settings: BatchSettings;
}

/** The strategy that picks size, concurrency and linger. It is clamped to `maxBatchSize` and `maxConcurrentBatches`. */
export interface BatchController {
  /**
   * Asked for the next batch, again only when that batch was sent or a call has ended; reading statistics does not ask. Must be
   * cheap and must not block.
   */
  next(): BatchSettings;
  /** Told of every call of a processor as it starts: a batch sent under these settings, a retry or a part of it. */
  started?(settings: BatchSettings, atMs?: number): void;
  /** Told after every call of a processor. */
  record(batch: BatchRecord): void;
  stats?(): Readonly<Record<string, number | string | boolean>>;
}
