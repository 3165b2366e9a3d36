import type { RetryEvent } from "./batch-run.ts";
import type { BatchRecord } from "./controller.ts";
import { BatcherOptionError } from "./errors.ts";

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

export const eventNames: readonly (keyof BatcherEvents)[] = ["batch", "overload", "retry", "split"];

/** @throws BatcherOptionError */
export function checkListener(event: unknown, listener: unknown): void {
  if (!(eventNames as readonly unknown[]).includes(event))
    throw new BatcherOptionError("event", `one of ${eventNames.join(", ")}`, event);
  if (typeof listener !== "function")
    throw new BatcherOptionError("listener", "a function", listener);
}
