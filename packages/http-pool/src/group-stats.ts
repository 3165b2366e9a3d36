import type { GroupCounters } from "./group-report.ts";
import { sumStats } from "./pool-stats.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { Replica, ReplicaState } from "./replica.ts";

/** What an upstream has counted. */
export interface UpstreamTotals extends PoolStats {
  readonly successes: number;
  readonly failures: number;
  readonly ejections: number;
  readonly circuitOpens: number;
}

export interface UpstreamStats extends UpstreamTotals {
  readonly state: ReplicaState;
  readonly weight: number;
  readonly zone?: string;
  /** Requests under way, those that wait included; without streams. */
  readonly pending: number;
  /** Moving average of the time to the first byte, peaks and failures included. */
  readonly latencyMs: number;
}

type Counts = { readonly [K in keyof GroupCounters]: number };

/** The sums of the pools of all upstreams, those that were removed included, and what the group did. */
export interface UpstreamGroupStats extends PoolStats, Counts {
  readonly members: number;
  readonly usable: number;
  readonly panic: boolean;
  /** Sessions whose upstream is remembered. */
  readonly sessions: number;
  /** Retries that the budget allows now. */
  readonly retryBudget: number;
  /** By origin. */
  readonly upstreams: Readonly<Record<string, UpstreamStats>>;
}

export interface GroupLevels {
  readonly usable: number;
  readonly panic: boolean;
  readonly sessions: number;
  readonly retryBudget: number;
}

export function groupStatsOf(
  replicas: readonly Replica[],
  gone: readonly PoolStats[],
  levels: GroupLevels,
  counters: Counts,
  nowMs: number,
): UpstreamGroupStats {
  const upstreams = replicas.map((replica) => [replica.upstream, upstreamStats(replica, nowMs)]);
  const total = sumStats([...replicas.map(({ pool }) => pool.stats()), ...gone]);
  return {
    ...total,
    ...counters,
    ...levels,
    members: replicas.length,
    upstreams: Object.fromEntries(upstreams) as Record<string, UpstreamStats>,
  };
}

export function sumTotals(all: readonly UpstreamTotals[]): UpstreamTotals {
  const sum = (read: (totals: UpstreamTotals) => number): number =>
    all.reduce((total, totals) => total + read(totals), 0);
  return {
    ...sumStats(all),
    successes: sum(({ successes }) => successes),
    failures: sum(({ failures }) => failures),
    ejections: sum(({ ejections }) => ejections),
    circuitOpens: sum(({ circuitOpens }) => circuitOpens),
  };
}

export function totalsOf({ pool, counts }: Replica): UpstreamTotals {
  return { ...pool.stats(), ...counts };
}

function upstreamStats(replica: Replica, nowMs: number): UpstreamStats {
  const { state, weight, zone, pending } = replica;
  const latencyMs = replica.costMs(nowMs);
  const own = { state, weight, pending, latencyMs, ...(zone !== undefined && { zone }) };
  return { ...totalsOf(replica), ...own };
}
