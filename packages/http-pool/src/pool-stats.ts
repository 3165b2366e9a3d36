import type { CloseReason } from "./connection.ts";

/** Times of one kind since the pool was made. */
export interface TimeStats {
  readonly count: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

export interface PoolStats {
  /** Sockets that are open and count against `maxConnections`. */
  readonly open: number;
  readonly idle: number;
  /** Carrying a request; counted against `maxConnections`. */
  readonly active: number;
  /** Being opened. */
  readonly connecting: number;
  /** Beyond `maxConnections`, open or being opened: streams, upgraded connections, replies and health checks. */
  readonly streams: number;
  /** Requests in the queue. */
  readonly waiting: number;
  readonly maxConnections: number;
  readonly created: number;
  readonly closed: Readonly<Record<CloseReason, number>>;
  /** Requests written to a connection. */
  readonly requests: number;
  /** Of those, on a connection that had carried another before. */
  readonly reused: number;
  /** `reused / requests`, 0 without requests. */
  readonly reuseRatio: number;
  /** Sent again after a dead connection. */
  readonly replays: number;
  /** Ended with an error. */
  readonly failed: number;
  /** Ended by the caller. */
  readonly aborted: number;
  readonly queueTimeouts: number;
  /** Refused at once, because the queue or the streams were full. */
  readonly rejected: number;
  readonly connectErrors: number;
  readonly healthChecks: Readonly<Record<"ok" | "failed", number>>;
  /** Requests for `keepAlivePath`; they are not in `requests`, nor do they make a connection a used one. */
  readonly keepAlives: Readonly<Record<"ok" | "failed", number>>;
  /** Bodies that nobody read for `leakAfterMs`. */
  readonly leaks: number;
  readonly connectTime: TimeStats;
  readonly waitTime: TimeStats;
}

const CLOSE_REASONS: readonly CloseReason[] = [
  "idle",
  "lifetime",
  "resize",
  "peer",
  "stale",
  "error",
  "single",
  "shutdown",
];

/** What a pool counts while it works. */
export class PoolCounters {
  created = 0;
  requests = 0;
  reused = 0;
  replays = 0;
  failed = 0;
  aborted = 0;
  queueTimeouts = 0;
  rejected = 0;
  connectErrors = 0;
  leaks = 0;
  readonly healthChecks: Record<"ok" | "failed", number> = { ok: 0, failed: 0 };
  readonly keepAlives: Record<"ok" | "failed", number> = { ok: 0, failed: 0 };
  readonly closed: Record<CloseReason, number> = zeroReasons();
  readonly connectTime: TimeCounter = new TimeCounter();
  readonly waitTime: TimeCounter = new TimeCounter();
}

export class TimeCounter {
  count = 0;
  totalMs = 0;
  maxMs = 0;

  add(durationMs: number): void {
    this.count += 1;
    this.totalMs += durationMs;
    this.maxMs = Math.max(this.maxMs, durationMs);
  }

  stats(): TimeStats {
    return { count: this.count, meanMs: mean(this.totalMs, this.count), maxMs: this.maxMs };
  }
}

/** The present state, which is read rather than counted. */
export type PoolLevels = Pick<
  PoolStats,
  "open" | "idle" | "active" | "connecting" | "streams" | "waiting" | "maxConnections"
>;

export function statsOf(levels: PoolLevels, counters: PoolCounters): PoolStats {
  const { connectTime, waitTime, closed, healthChecks, keepAlives, ...counts } = counters;
  return {
    ...levels,
    ...counts,
    reuseRatio: counts.requests === 0 ? 0 : counts.reused / counts.requests,
    closed: { ...closed },
    healthChecks: { ...healthChecks },
    keepAlives: { ...keepAlives },
    connectTime: connectTime.stats(),
    waitTime: waitTime.stats(),
  };
}

/** The sum of several pools; ratios and means weighted. */
export function sumStats(all: readonly PoolStats[]): PoolStats {
  const sum = (read: (stats: PoolStats) => number): number =>
    all.reduce((total, stats) => total + read(stats), 0);
  const requests = sum((stats) => stats.requests);
  const reused = sum((stats) => stats.reused);
  return {
    open: sum((stats) => stats.open),
    idle: sum((stats) => stats.idle),
    active: sum((stats) => stats.active),
    connecting: sum((stats) => stats.connecting),
    streams: sum((stats) => stats.streams),
    waiting: sum((stats) => stats.waiting),
    maxConnections: sum((stats) => stats.maxConnections),
    created: sum((stats) => stats.created),
    closed: mapReasons((reason) => sum((stats) => stats.closed[reason])),
    requests,
    reused,
    reuseRatio: requests === 0 ? 0 : reused / requests,
    replays: sum((stats) => stats.replays),
    failed: sum((stats) => stats.failed),
    aborted: sum((stats) => stats.aborted),
    queueTimeouts: sum((stats) => stats.queueTimeouts),
    rejected: sum((stats) => stats.rejected),
    connectErrors: sum((stats) => stats.connectErrors),
    healthChecks: {
      ok: sum((stats) => stats.healthChecks.ok),
      failed: sum((stats) => stats.healthChecks.failed),
    },
    keepAlives: {
      ok: sum((stats) => stats.keepAlives.ok),
      failed: sum((stats) => stats.keepAlives.failed),
    },
    leaks: sum((stats) => stats.leaks),
    connectTime: sumTimes(all.map((stats) => stats.connectTime)),
    waitTime: sumTimes(all.map((stats) => stats.waitTime)),
  };
}

/** What remains of a pool that is gone: its counts without its levels. */
export function countsOnly(stats: PoolStats): PoolStats {
  const gone: PoolLevels = {
    open: 0,
    idle: 0,
    active: 0,
    connecting: 0,
    streams: 0,
    waiting: 0,
    maxConnections: 0,
  };
  return { ...stats, ...gone };
}

function sumTimes(times: readonly TimeStats[]): TimeStats {
  let count = 0;
  let totalMs = 0;
  let maxMs = 0;
  for (const time of times) {
    count += time.count;
    totalMs += time.meanMs * time.count;
    maxMs = Math.max(maxMs, time.maxMs);
  }
  return { count, meanMs: mean(totalMs, count), maxMs };
}

function mean(total: number, count: number): number {
  return count === 0 ? 0 : total / count;
}

function zeroReasons(): Record<CloseReason, number> {
  return mapReasons(() => 0);
}

function mapReasons(value: (reason: CloseReason) => number): Record<CloseReason, number> {
  return Object.fromEntries(CLOSE_REASONS.map((reason) => [reason, value(reason)])) as Record<
    CloseReason,
    number
  >;
}
