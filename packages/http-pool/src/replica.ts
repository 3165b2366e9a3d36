import type { Attempt } from "./attempt.ts";
import type { Candidate } from "./balancer.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { FailureKind } from "./failure-kind.ts";
import type { EjectReason } from "./group-events.ts";
import type { HangWatch } from "./hang-watch.ts";
import { PeakEwma } from "./peak-ewma.ts";
import type { Prober } from "./prober.ts";

/** Envoy's lowest weight of a replica that starts slowly. */
const MIN_RAMP = 0.1;

export type ReplicaState =
  | "usable"
  /** Left out for a while, since it failed. */
  | "ejected"
  /** Its probes fail. */
  | "unhealthy"
  /** Its circuit breaker refuses requests. */
  | "open"
  /** Its circuit breaker lets trials through. */
  | "half-open"
  | "draining";

export interface Ejection {
  readonly reason: EjectReason;
  readonly cancelTimer: () => void;
}

export interface ReplicaOptions {
  readonly weight: number;
  readonly zone: string | undefined;
  readonly slowStartMs: number;
  readonly ewmaDecayMs: number;
}

/** One upstream of a group: its pool, its load, and what is known of its health. */
export class Replica implements Candidate {
  readonly upstream: string;
  readonly pool: ConnectionPool;
  readonly zone: string | undefined;
  weight: number;
  pending = 0;
  draining = false;
  removed = false;
  /** What the probes say. */
  healthy = true;
  ejection: Ejection | undefined;
  /** Ejections in a row, less one for each healthy while since. */
  ejectionLevel = 0;
  readmittedAt = 0;
  failuresInARow = 0;
  lastFailure: FailureKind | undefined;
  /** Good probes in a row, or bad ones if negative. */
  probesInARow = 0;
  unfitSince: number | undefined;
  /** Of the present interval, for the success rate. */
  recent = { successes: 0, failures: 0 };
  readonly counts = { successes: 0, failures: 0, ejections: 0, circuitOpens: 0 };
  readonly cost: PeakEwma;
  readonly circuit: CircuitBreaker;
  readonly watch: HangWatch<Attempt>;
  readonly prober: Prober | undefined;
  readonly #slowStartMs: number;
  #rampSince = -Infinity;

  constructor(
    pool: ConnectionPool,
    options: ReplicaOptions,
    parts: (replica: Replica) => Pick<Replica, "circuit" | "watch" | "prober">,
  ) {
    this.upstream = pool.upstream;
    this.pool = pool;
    this.zone = options.zone;
    this.weight = options.weight;
    this.cost = new PeakEwma(options.ewmaDecayMs);
    this.#slowStartMs = options.slowStartMs;
    const { circuit, watch, prober } = parts(this);
    this.circuit = circuit;
    this.watch = watch;
    this.prober = prober;
  }

  get fit(): boolean {
    const { draining, healthy, ejection, circuit } = this;
    return !draining && healthy && ejection === undefined && circuit.state !== "open";
  }

  get state(): ReplicaState {
    if (this.draining) return "draining";
    if (this.ejection !== undefined) return "ejected";
    if (!this.healthy) return "unhealthy";
    return this.circuit.state === "closed" ? "usable" : this.circuit.state;
  }

  /** A request that has waited for longer than the average already says more than the average. */
  costMs(nowMs: number): number {
    return Math.max(this.cost.value(nowMs), this.watch.oldestAgeMs(nowMs));
  }

  /** Linear, as Envoy's slow start with an aggression of 1. */
  ramp(nowMs: number): number {
    if (this.#slowStartMs === 0) return 1;
    return Math.min(1, Math.max(MIN_RAMP, (nowMs - this.#rampSince) / this.#slowStartMs));
  }

  /**
   * It is new, or back: it starts slowly, and with the latency of the others. The one that it had is out of
   * date, and would keep requests away from it for long.
   */
  startSlowly(nowMs: number, medianMs: number | undefined): void {
    this.#rampSince = nowMs;
    if (medianMs !== undefined) this.cost.reset(medianMs, nowMs);
  }

  [Symbol.dispose](): void {
    this.ejection?.cancelTimer();
    this.circuit[Symbol.dispose]();
    this.watch[Symbol.dispose]();
    this.prober?.[Symbol.dispose]();
  }
}
