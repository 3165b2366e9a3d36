import type { CircuitState } from "./circuit-breaker.ts";
import type { FailureKind } from "./failure-kind.ts";
import type { PoolEvents } from "./pool-events.ts";

export type EjectReason = FailureKind | "success-rate";

export interface EjectEvent {
  readonly upstream: string;
  readonly reason: EjectReason;
  /** Until it is tried again, unless a probe or a late answer comes first. */
  readonly durationMs: number;
  /** Ejections in a row, this one included. */
  readonly ejections: number;
}

export interface ReadmitEvent {
  readonly upstream: string;
  readonly by: "time" | "probe" | "answer";
}

export interface CircuitEvent {
  readonly upstream: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
}

export interface PanicEvent {
  /** The group's origin. */
  readonly upstream: string;
  readonly active: boolean;
  readonly usable: number;
  readonly members: number;
}

export type RetryReason = FailureKind | "unsent";

export interface RetryEvent {
  /** Where it goes now. */
  readonly upstream: string;
  /** Where it was. */
  readonly from: string;
  readonly reason: RetryReason;
  /** 2 is the second. */
  readonly attempt: number;
  readonly delayMs: number;
}

export interface HedgeEvent {
  readonly upstream: string;
  readonly from: string;
  /** How long there was no answer. */
  readonly delayMs: number;
}

export interface HealthEvent {
  readonly upstream: string;
  /** False when its probes failed and it gets no more requests, true when they succeed again. */
  readonly healthy: boolean;
  /** Probes in a row that said so. */
  readonly probes: number;
}

/** `upstream` is an origin everywhere: no credentials, no path, no query. */
export interface GroupEvents extends PoolEvents {
  /** An upstream gets no more requests for a while. */
  eject: EjectEvent;
  /** An ejected upstream is tried again. */
  readmit: ReadmitEvent;
  /** What the probes say of an upstream changed. */
  health: HealthEvent;
  /** The state of an upstream's circuit breaker changed. */
  circuit: CircuitEvent;
  /** Too few upstreams are fit, so that all are used; or that is over. */
  panic: PanicEvent;
  /** A request is sent once more. */
  retry: RetryEvent;
  /** A second upstream is asked, since the first takes long. */
  hedge: HedgeEvent;
}
