import type { Connection } from "./connection.ts";
import { HttpPoolError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { HealthCheckResult } from "./health-check.ts";
import type { PoolEvents, RequestOutcome } from "./pool-events.ts";
import type { PoolCounters } from "./pool-stats.ts";

export interface ReportTarget {
  listens(event: keyof PoolEvents): boolean;
  /** One of undici's own events. */
  announce(event: "connect" | "disconnect" | "connectionError", error?: Error): void;
  send<K extends keyof PoolEvents>(event: K, value: PoolEvents[K]): void;
}

/** Counts what happens, and tells those who listen. */
export class Report {
  readonly #upstream: string;
  readonly #counters: PoolCounters;
  readonly #now: () => number;
  readonly #target: ReportTarget;

  constructor(upstream: string, counters: PoolCounters, now: () => number, target: ReportTarget) {
    this.#upstream = upstream;
    this.#counters = counters;
    this.#now = now;
    this.#target = target;
  }

  opened(durationMs: number): void {
    this.#counters.created += 1;
    this.#counters.connectTime.add(durationMs);
    this.#target.announce("connect");
    if (this.#target.listens("open"))
      this.#target.send("open", { upstream: this.#upstream, durationMs });
  }

  openFailed(error: Error, durationMs: number): void {
    this.#counters.connectErrors += 1;
    this.#target.announce("connectionError", error);
    if (this.#target.listens("connectError"))
      this.#target.send("connectError", { upstream: this.#upstream, durationMs, error });
  }

  closed({ closeReason: reason, openedAt, requests }: Connection): void {
    this.#counters.closed[reason] += 1;
    this.#target.announce("disconnect", new Error(`the connection was closed: ${reason}`));
    if (!this.#target.listens("close")) return;
    const ageMs = this.#now() - openedAt;
    this.#target.send("close", { upstream: this.#upstream, reason, ageMs, requests });
  }

  waited(waitMs: number): void {
    this.#counters.waitTime.add(waitMs);
    if (this.#target.listens("wait"))
      this.#target.send("wait", { upstream: this.#upstream, waitMs });
  }

  started(exchange: Exchange, connection: Connection): void {
    if (exchange.keepsAlive) return;
    exchange.reused = connection.requests > 0;
    exchange.rested = connection.rested;
    connection.requests += 1;
    this.#counters.requests += 1;
    if (exchange.reused) this.#counters.reused += 1;
  }

  replay(error: Error): void {
    this.#counters.replays += 1;
    if (this.#target.listens("replay"))
      this.#target.send("replay", { upstream: this.#upstream, error });
  }

  rejected(): void {
    this.#counters.rejected += 1;
  }

  queueTimeout(): void {
    this.#counters.queueTimeouts += 1;
  }

  leak(exchange: Exchange, unreadMs: number): void {
    this.#counters.leaks += 1;
    if (!this.#target.listens("leak")) return;
    const { options, stack } = exchange;
    const path = options.path.split(/[?#]/, 1)[0] ?? "";
    const leak = { upstream: this.#upstream, method: options.method, path, unreadMs };
    this.#target.send("leak", { ...leak, ...(stack !== undefined && { stack }) });
  }

  finished(exchange: Exchange, error: Error | undefined): void {
    if (exchange.keepsAlive) {
      this.#counters.keepAlives[error === undefined ? "ok" : "failed"] += 1;
      return;
    }
    const outcome = outcomeOf(exchange, error);
    if (outcome === "error") this.#counters.failed += 1;
    if (outcome === "aborted") this.#counters.aborted += 1;
    if (!this.#target.listens("request")) return;
    const { lane, statusCode, reused, createdAt } = exchange;
    const durationMs = this.#now() - createdAt;
    const event = { upstream: this.#upstream, lane, outcome, statusCode, durationMs, reused };
    this.#target.send("request", event);
  }

  healthCheck({ ok, durationMs }: HealthCheckResult): void {
    this.#counters.healthChecks[ok ? "ok" : "failed"] += 1;
    if (this.#target.listens("healthCheck"))
      this.#target.send("healthCheck", { upstream: this.#upstream, ok, durationMs });
  }
}

/** The pool itself aborts too, when it is destroyed or a body is not read: those are errors. */
function outcomeOf(exchange: Exchange, error: Error | undefined): RequestOutcome {
  if (error === undefined) return "ok";
  return exchange.aborted && !(error instanceof HttpPoolError) ? "aborted" : "error";
}
