import type { Attempt } from "./attempt.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { CircuitOpenError, UpstreamUnavailableError } from "./errors.ts";
import type { GroupContext } from "./group-context.ts";
import type { GroupEvents } from "./group-events.ts";
import type { GroupExchange } from "./group-exchange.ts";
import type { ResolvedGroupOptions } from "./group-options.ts";
import { GroupReport } from "./group-report.ts";
import { HangWatch } from "./hang-watch.ts";
import { HealthMonitor } from "./health-monitor.ts";
import { HedgeQueue } from "./hedge-queue.ts";
import { Prober } from "./prober.ts";
import { RecentQuantiles } from "./recent-quantiles.ts";
import { Replica } from "./replica.ts";
import { ReplicaSet } from "./replica-set.ts";
import { RetryBudget } from "./retry-budget.ts";
import { Router } from "./router.ts";
import { WaitingSet } from "./waiting.ts";

const WINDOW_MS = 10_000;
const RETRY_AFTER_MS = 1000;
/** Silence that counts as a hang while nothing is known of the latency. */
const UNKNOWN_HANG_MS = 1000;
/** A failure counts as so many times the median latency and the upstream's average, within bounds. */
const PENALTY_FACTOR = 10;
const PENALTY_GROWTH = 2;
const MIN_PENALTY_MS = 100;
const MAX_PENALTY_MS = 10_000;
/** How often the 99th percentile a silence has to last to count as a hang. */
const HANG_FACTOR = 3;

type Send = <K extends keyof GroupEvents>(event: K, value: GroupEvents[K]) => void;

/** The parts of a group, put together. */
export class GroupCore implements GroupContext {
  readonly name: string;
  readonly options: ResolvedGroupOptions;
  readonly report: GroupReport;
  readonly set: ReplicaSet;
  readonly router: Router;
  readonly health: HealthMonitor;
  readonly latencies: RecentQuantiles = new RecentQuantiles(WINDOW_MS);
  readonly retries: RetryBudget;
  readonly hedges: GroupContext["hedges"];
  readonly delayed: WaitingSet<GroupExchange> = new WaitingSet<GroupExchange>();

  constructor(name: string, options: ResolvedGroupOptions, send: Send) {
    const { now, schedule, retry, hedge } = options;
    this.name = name;
    this.options = options;
    this.report = new GroupReport(send);
    this.set = new ReplicaSet(options, (active, usable, members) =>
      this.report.panic({ upstream: name, active, usable, members }),
    );
    this.router = new Router(options, this.set);
    this.health = new HealthMonitor(options, this.set, this.report, () => this.#quantile(0.5));
    const { budgetRatio: ratio, budgetMinPerSecond: minPerSecond } = retry;
    this.retries = new RetryBudget({ ratio, minPerSecond, now, windowMs: WINDOW_MS });
    this.hedges = hedge && {
      queue: new HedgeQueue(now, schedule, () => hedge.delayMs ?? this.#quantile(0.95)),
      budget: new RetryBudget({ ratio: hedge.budgetRatio, minPerSecond: 0.1, now }),
    };
  }

  penaltyMs(elapsedMs: number, costMs: number): number {
    const usualMs = (this.#quantile(0.5) ?? 0) * PENALTY_FACTOR;
    // Growing, since the others may look slow for a while, as after this process stood still.
    const growing = Math.max(MIN_PENALTY_MS, usualMs, costMs * PENALTY_GROWTH);
    return Math.max(elapsedMs, Math.min(MAX_PENALTY_MS, growing));
  }

  noRoute({ route: { holder } }: GroupExchange): Error {
    const all = holder === undefined ? this.set.all : [holder];
    const possible = all.filter(({ draining }) => !draining || holder !== undefined);
    const upstreams = possible.map(({ upstream }) => upstream);
    const waits = possible.map(({ circuit }) => circuit.retryAfterMs);
    const details = { upstream: holder?.upstream ?? this.name, upstreams, attempts: 0 };
    if (waits.some((waitMs) => waitMs > 0))
      return new CircuitOpenError({ ...details, retryAfterMs: Math.ceil(Math.min(...waits)) });
    const cause = new Error(
      possible.length > 0
        ? "none of the group's upstreams is fit; with a panicThreshold above 0 they would be tried"
        : "the group has no upstream that takes requests",
    );
    return new UpstreamUnavailableError({ ...details, retryAfterMs: RETRY_AFTER_MS }, cause);
  }

  createReplica(origin: URL, weight: number, zone: string | undefined): Replica {
    const { pool: poolOptions, slowStartMs, ewmaDecayMs } = this.options;
    const pool = new ConnectionPool(origin, poolOptions);
    const settings = { weight, zone, slowStartMs, ewmaDecayMs };
    return new Replica(pool, settings, (replica) => ({
      circuit: this.#createCircuit(replica),
      watch: this.#createWatch(replica),
      prober: this.#createProber(replica, pool),
    }));
  }

  [Symbol.dispose](): void {
    this.hedges?.queue[Symbol.dispose]();
    for (const replica of this.set.all) replica[Symbol.dispose]();
  }

  #createCircuit(replica: Replica): CircuitBreaker {
    const { circuit, now, schedule, probe } = this.options;
    const trialMs = Math.max(circuit.openMs, probe?.intervalMs ?? 0);
    const settings = { ...circuit, failures: circuit.consecutiveFailures, trialMs };
    return new CircuitBreaker(settings, now, schedule, (from, to) => {
      this.health.circuitChanged(replica);
      this.report.circuit({ upstream: replica.upstream, from, to });
    });
  }

  #createWatch(replica: Replica): HangWatch<Attempt> {
    const { now, schedule } = this.options;
    const limitMs = (): number => this.#hangMs();
    const hung = (waiting: readonly Attempt[]): void => {
      this.health.failed(replica, "hang");
      for (const attempt of waiting) attempt.suspect();
    };
    return new HangWatch<Attempt>({ now, schedule, limitMs, hung });
  }

  #createProber(replica: Replica, pool: ConnectionPool): Prober | undefined {
    const { probe, random, schedule } = this.options;
    return (
      probe &&
      new Prober(
        { ...probe, random, schedule },
        () => pool.healthCheck(),
        () => this.health.isProbed(replica),
        (result) => this.health.probed(replica, result),
      )
    );
  }

  #hangMs(): number {
    const { minHangMs } = this.options.outlier;
    if (minHangMs === 0) return Infinity;
    const usualMs = this.#quantile(0.99);
    if (usualMs === undefined) return Math.max(minHangMs, UNKNOWN_HANG_MS);
    return Math.max(minHangMs, HANG_FACTOR * usualMs);
  }

  #quantile(quantile: number): number | undefined {
    return this.latencies.get(quantile, this.options.now());
  }
}
