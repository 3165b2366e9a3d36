import type { GroupCounters } from "./group-report.ts";
import { sumStats } from "./pool-stats.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { Replica, ReplicaState } from "./replica.ts";

export interface UpstreamStats extends PoolStats {
  readonly state: ReplicaState;
  readonly weight: number;
  readonly zone?: string;
  /** Requests under way, those that wait included; without streams. */
  readonly pending: number;
  /** Moving average of the time to the first byte, peaks and failures included. */
  readonly latencyMs: number;
  readonly successes: number;
  readonly failures: number;
  readonly ejections: number;
  readonly circuitOpens: number;
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
  counters: GroupCounters,
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

function upstreamStats(replica: Replica, nowMs: number): UpstreamStats {
  const { state, weight, zone, pending, counts } = replica;
  const latencyMs = replica.costMs(nowMs);
  const own = { state, weight, pending, latencyMs, ...(zone !== undefined && { zone }) };
  return { ...replica.pool.stats(), ...own, ...counts };
}
