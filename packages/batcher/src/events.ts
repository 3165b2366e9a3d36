import type { RetryEvent } from "./batch-run.ts";
import type { BatchRecord } from "./controller.ts";

export interface OverloadEvent {
  readonly queuedItems: number;
  readonly queuedBytes: number;
  readonly retryAfterMs: number;
}

export interface SplitEvent {
  readonly batchId: number;
  readonly size: number;
  readonly reason: "too-large" | "poison";
}

export interface BatcherEvents {
  batch: (batch: BatchRecord) => void;
  overload: (overload: OverloadEvent) => void;
  retry: (retry: RetryEvent) => void;
  split: (split: SplitEvent) => void;
}
