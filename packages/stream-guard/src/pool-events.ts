import type { Priority } from "./pool-options.ts";

export type PoolRejectReason = "timeout" | "queueFull" | "aborted" | "closed" | "resized";

export interface AcquireEvent {
  readonly weight: number;
  readonly priority: Priority;
  readonly waitMs: number;
}

export interface ReleaseEvent {
  readonly weight: number;
  readonly heldMs: number;
}

export interface PoolRejectEvent {
  readonly reason: PoolRejectReason;
  readonly error: unknown;
}

export interface LongHoldEvent {
  readonly weight: number;
  readonly heldMs: number;
  /** Where the permit was acquired, when this one was sampled. */
  readonly stack: string | undefined;
}

export interface ResourcePoolEvents {
  acquire: [AcquireEvent];
  release: [ReleaseEvent];
  reject: [PoolRejectEvent];
  longHold: [LongHoldEvent];
}
