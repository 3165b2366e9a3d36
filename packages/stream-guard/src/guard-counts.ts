import type { AdmissionReason, LimitScope } from "./errors.ts";
import type { MemoryLevel } from "./level.ts";

/** Reasons that are told apart in counts; any other one counts as `other`. */
const CLOSE_REASONS = [
  "closed",
  "aborted",
  "idle",
  "maxAge",
  "stalled",
  "evicted",
  "limit",
  "source",
  "destination",
  "guard",
  "other",
] as const;

type CloseReason = (typeof CLOSE_REASONS)[number];

/** Why a session gave way under pressure. */
export type EvictReason = "idle" | "stalled";

export interface StreamGuardStats {
  readonly level: MemoryLevel;
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly peakBytes: number;
  readonly sessions: number;
  readonly maxSessions: number;
  /** Principals with open sessions, and the most that one of them holds now. */
  readonly principals: number;
  readonly principalLimitBytes: number;
  readonly principalMostBytes: number;
  /** Reservations that wait for room now. */
  readonly waiting: number;
  /** Sources that are paused now, and pauses so far. */
  readonly pausedSources: number;
  readonly pauses: number;
  readonly opened: number;
  readonly closed: Readonly<Record<CloseReason, number>>;
  /** What `closed.evicted` consists of. */
  readonly evicted: Readonly<Record<EvictReason, number>>;
  readonly rejected: Readonly<Record<AdmissionReason, number>>;
  readonly limited: Readonly<Record<LimitScope, number>>;
  readonly softLimits: number;
  readonly hooksRun: number;
  readonly hookErrors: number;
}

/** What happened since the guard was made. */
export class GuardCounts {
  opened = 0;
  softLimits = 0;
  readonly closed: Record<CloseReason, number> = Object.fromEntries(
    CLOSE_REASONS.map((reason) => [reason, 0]),
  ) as Record<CloseReason, number>;
  readonly evicted: Record<EvictReason, number> = { idle: 0, stalled: 0 };
  readonly rejected: Record<AdmissionReason, number> = {
    sessions: 0,
    principal: 0,
    memory: 0,
    pressure: 0,
    closed: 0,
  };
  readonly limited: Record<LimitScope, number> = { session: 0, principal: 0, guard: 0 };

  countClose(reason: string): void {
    this.closed[boundedReason(reason)] += 1;
  }
}

export function boundedReason(reason: string): CloseReason {
  return CLOSE_REASONS.find((known) => known === reason) ?? "other";
}
