import type { EjectReason } from "./group-events.ts";
import type { FailureKind } from "./failure-kind.ts";
import type { GroupReport } from "./group-report.ts";
import type { ResolvedGroupOptions } from "./group-options.ts";
import type { HealthCheckResult } from "./health-check.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaSet } from "./replica-set.ts";
import { SuccessRates } from "./success-rates.ts";

/**
 * Decides which upstreams are left out, after Envoy's outlier detection and active health checking: failures
 * in a row eject, each ejection for twice as long as the last, of only a part of the upstreams at a time; an
 * upstream that is back has to pass a trial first.
 */
export class HealthMonitor {
  readonly #options: ResolvedGroupOptions;
  readonly #set: ReplicaSet;
  readonly #report: GroupReport;
  readonly #medianMs: () => number | undefined;
  readonly #rates: SuccessRates | undefined;

  constructor(
    options: ResolvedGroupOptions,
    set: ReplicaSet,
    report: GroupReport,
    medianMs: () => number | undefined,
  ) {
    this.#options = options;
    this.#set = set;
    this.#report = report;
    this.#medianMs = medianMs;
    this.#rates = options.outlier.successRate ? new SuccessRates(options.now()) : undefined;
  }

  /** An answer without a fault began. */
  answered(replica: Replica): void {
    // A hang was only ever a suspicion.
    if (replica.ejection?.reason === "hang") this.#readmit(replica, "answer");
    if (replica.circuit.state === "half-open") replica.circuit.succeeded();
  }

  /** It was complete. */
  succeeded(replica: Replica): void {
    replica.counts.successes += 1;
    replica.recent.successes += 1;
    replica.failuresInARow = 0;
    replica.circuit.succeeded();
    this.#compare();
  }

  failed(replica: Replica, kind: FailureKind): void {
    replica.counts.failures += 1;
    replica.recent.failures += 1;
    replica.failuresInARow += 1;
    replica.lastFailure = kind;
    const onTrial = replica.circuit.state === "half-open";
    replica.circuit.failed();
    const { consecutiveFailures } = this.#options.outlier;
    if (onTrial || kind === "hang" || replica.failuresInARow >= consecutiveFailures)
      this.#eject(replica, kind);
    replica.prober?.wake();
    this.#compare();
  }

  /** The circuit breaker of a replica changed. */
  circuitChanged(replica: Replica): void {
    if (replica.removed) return;
    if (replica.circuit.state === "closed") this.startSlowly(replica);
    if (replica.circuit.state === "open") replica.counts.circuitOpens += 1;
    this.#set.changed();
    replica.prober?.wake();
  }

  probed(replica: Replica, { ok }: HealthCheckResult): void {
    const { probe } = this.#options;
    if (probe === undefined || replica.removed) return;
    const before = replica.probesInARow;
    replica.probesInARow = ok ? Math.max(0, before) + 1 : Math.min(0, before) - 1;
    if (replica.probesInARow >= probe.healthyThreshold) this.#vouchFor(replica);
    else if (replica.healthy && -replica.probesInARow >= probe.unhealthyThreshold) {
      replica.healthy = false;
      this.#set.changed();
      this.#reportHealth(replica);
    }
  }

  /** Whether there is anything that a probe could tell of it. */
  isProbed(replica: Replica): boolean {
    const { healthy, ejection, circuit, removed, failuresInARow, lastFailure } = replica;
    if (removed) return false;
    const out = !healthy || ejection !== undefined || circuit.state !== "closed";
    // The balancer keeps away from it, so that requests hardly find out.
    const unreachable = failuresInARow > 0 && lastFailure === "connect";
    return out || unreachable || this.#options.probe?.path !== undefined;
  }

  startSlowly(replica: Replica): void {
    replica.startSlowly(this.#options.now(), this.#medianMs());
  }

  #vouchFor(replica: Replica): void {
    if (!replica.healthy) {
      replica.healthy = true;
      this.startSlowly(replica);
      this.#set.changed();
      this.#reportHealth(replica);
    }
    const failure = replica.ejection?.reason ?? replica.lastFailure;
    // A probe says nothing of an upstream that takes connections and then fails.
    const hadPath = this.#options.probe?.path !== undefined;
    if (replica.circuit.state === "half-open" && replica.ejection === undefined) {
      // A trial may take long. What answers a request may be tried, unless it fails those of callers.
      if (failure === "connect" || (hadPath && failure !== "status")) replica.circuit.succeeded();
      return;
    }
    if (failure !== "connect" && !(failure === "hang" && hadPath)) return;
    replica.failuresInARow = 0;
    if (replica.ejection !== undefined) this.#readmit(replica, "probe");
    else if (replica.circuit.state === "open") replica.circuit.tryAgain();
  }

  #reportHealth({ healthy, probesInARow, upstream }: Replica): void {
    this.#report.health({ upstream, healthy, probes: Math.abs(probesInARow) });
  }

  #eject(replica: Replica, reason: EjectReason): void {
    if (replica.ejection !== undefined || replica.removed || !this.#mayEject()) return;
    const { now, schedule, outlier } = this.#options;
    const { baseEjectionMs, maxEjectionMs } = outlier;
    const healed = Math.floor((now() - replica.readmittedAt) / baseEjectionMs);
    const level = Math.max(0, replica.ejectionLevel - healed);
    const durationMs = Math.min(maxEjectionMs, baseEjectionMs * 2 ** Math.min(level, 30));
    const cancelTimer = schedule(() => this.#readmit(replica, "time"), durationMs);
    replica.ejection = { reason, cancelTimer };
    replica.ejectionLevel = level + 1;
    replica.counts.ejections += 1;
    this.#set.changed();
    this.#report.ejected({
      upstream: replica.upstream,
      reason,
      durationMs,
      ejections: level + 1,
    });
    replica.prober?.wake();
  }

  #mayEject(): boolean {
    const members = this.#set.all;
    const { maxEjectedShare } = this.#options.outlier;
    if (members.length < 2 || maxEjectedShare === 0) return false;
    const ejected = members.filter(({ ejection }) => ejection !== undefined).length;
    return ejected < Math.max(1, Math.floor(maxEjectedShare * members.length));
  }

  #readmit(replica: Replica, by: "time" | "probe" | "answer"): void {
    replica.ejection?.cancelTimer();
    replica.ejection = undefined;
    replica.readmittedAt = this.#options.now();
    replica.failuresInARow = 0;
    this.startSlowly(replica);
    replica.circuit.tryAgain();
    this.#set.changed();
    this.#report.readmitted({ upstream: replica.upstream, by });
  }

  #compare(): void {
    if (this.#rates === undefined) return;
    for (const replica of this.#rates.outliers(this.#options.now(), this.#set.all))
      this.#eject(replica, "success-rate");
  }
}
