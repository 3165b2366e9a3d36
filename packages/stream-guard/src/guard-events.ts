import type { AdmissionError, AdmissionReason, MemoryLimitError } from "./errors.ts";
import type { EvictReason } from "./guard-counts.ts";
import type { MemoryLevel } from "./level.ts";
import type { HookErrorEvent } from "./memory-hooks.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface OpenEvent {
  readonly session: StreamingSession;
}

export interface CloseEvent {
  readonly session: StreamingSession;
  readonly reason: string;
  readonly durationMs: number;
  readonly peakBytes: number;
}

export interface SoftLimitEvent {
  readonly session: StreamingSession;
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export interface LimitEvent {
  readonly error: MemoryLimitError;
}

export interface EvictEvent {
  readonly session: StreamingSession;
  readonly reason: EvictReason;
  /** Since the last completed operation, or since its reader last took something. */
  readonly idleMs: number;
  readonly freedBytes: number;
}

export interface RejectEvent {
  readonly error: AdmissionError;
  readonly reason: AdmissionReason;
  readonly principal: string | undefined;
}

export interface LevelEvent {
  readonly level: MemoryLevel;
  readonly previous: MemoryLevel;
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export interface WaitEvent {
  readonly session: StreamingSession;
  readonly waitMs: number;
}

export interface StreamGuardEvents {
  open: [OpenEvent];
  close: [CloseEvent];
  /** A session crossed 90 % of its limit. */
  softLimit: [SoftLimitEvent];
  /** A reservation was refused with an error. */
  limit: [LimitEvent];
  /** A session gave way under pressure: its reader had stalled, or it was idle. */
  evict: [EvictEvent];
  /** A new session was refused. */
  reject: [RejectEvent];
  level: [LevelEvent];
  /** A hook added with `addHook` failed. */
  hookError: [HookErrorEvent];
  /** A reservation had to wait, and has stopped waiting. */
  wait: [WaitEvent];
}
