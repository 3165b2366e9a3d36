import { setTimeout as delay } from "node:timers/promises";
import { ConnectionPool } from "@mcp-accel/http-pool";
import type { PoolStats } from "@mcp-accel/http-pool";
import { FaultServer } from "./fault-server.ts";
import type { Fault } from "./fault-server.ts";

export interface FaultRunOptions {
  /** Ends the run once true; asked before each request, with how many were answered. */
  readonly isOver: (answered: number) => boolean;
  readonly seed: number;
  readonly workers?: number;
}

export interface FaultReport {
  readonly seed: number;
  readonly durationMs: number;
  readonly requests: number;
  readonly answered: number;
  /** By what the caller did to them itself. */
  readonly aborted: number;
  /** By the code of their error. */
  readonly failed: Readonly<Record<string, number>>;
  /** Errors without a code: there must be none. */
  readonly untyped: Readonly<Record<string, number>>;
  /** Requests without an end: there must be none. */
  readonly stuck: number;
  /** Requests that must not be repeated, and were. */
  readonly executedTwice: number;
  /** Connections that were open although the pool was closed. */
  readonly leakedSockets: number;
  /** The last request and the state of each. */
  readonly leaked: readonly string[];
  /** Most connections at once, streams left out, and most that were allowed. */
  readonly peakOpen: number;
  readonly peakAllowed: number;
  readonly outages: number;
  readonly servedAfterwards: boolean;
  readonly ok: boolean;
  readonly stats: PoolStats;
}

const LIMITS = {
  maxConnections: 16,
  minIdle: 2,
  queueLimit: 64,
  queueTimeoutMs: 500,
  connectTimeoutMs: 500,
  headersTimeoutMs: 1000,
  bodyTimeoutMs: 400,
  leakAfterMs: 200,
  maxIdleTimeMs: 2000,
  maxLifetimeMs: 3000,
  healthCheckTimeoutMs: 300,
  keepAlivePath: "/ok",
} as const;
const MAX_CONNECTIONS = 24;
/** Longer than any of the limits above together; undici keeps its time-outs to within a second. */
const END_MS = 15_000;
const CODED = /^(HTTP_POOL|UND_ERR|ERR)_|^E[A-Z]+$/;
const MIX: readonly (readonly [Fault, number])[] = [
  ["ok", 60],
  ["slow", 10],
  ["long", 5],
  ["close", 4],
  ["error", 4],
  ["half", 3],
  ["reset", 4],
  ["garbage", 2],
  ["flood", 1],
  ["hang", 1],
  ["stall", 2],
  ["events", 2],
];

class Aborted extends Error {}

/** Mixed faults of server, network and callers, until it is over; then every request must be accounted for. */
export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const server = await new FaultServer().start();
  const run = new FaultRun(server, options);
  try {
    return await run.run();
  } finally {
    await server.stop();
  }
}

class FaultRun {
  readonly #server: FaultServer;
  readonly #pool: ConnectionPool;
  readonly #options: FaultRunOptions;
  readonly #random: () => number;
  readonly #failed: Record<string, number> = {};
  readonly #untyped: Record<string, number> = {};
  #requests = 0;
  #answered = 0;
  #aborted = 0;
  #pending = 0;
  #outages = 0;
  #peakOpen = 0;
  #peakAllowed: number = LIMITS.maxConnections;

  constructor(server: FaultServer, options: FaultRunOptions) {
    this.#server = server;
    this.#options = options;
    this.#random = mulberry32(options.seed);
    this.#pool = new ConnectionPool(server.origin, LIMITS);
  }

  async run(): Promise<FaultReport> {
    const startedAt = performance.now();
    const over = new AbortController();
    const disturbed = this.#disturb(over.signal);
    const workers = Array.from({ length: this.#options.workers ?? 72 }, () => this.#work());
    const ended = Promise.all(workers);
    // The workers end by themselves, unless a request is stuck.
    while (!(await isSettled(ended, 100)) && !this.#over());
    await isSettled(ended, END_MS);
    const stuck = this.#pending;
    over.abort();
    await disturbed;
    const servedAfterwards = await this.#serves();
    const closed = await isSettled(this.#pool.close(), END_MS);
    if (!closed) await this.#pool.destroy();
    await isSettled(this.#server.emptied(), END_MS);
    return this.#report(performance.now() - startedAt, stuck, servedAfterwards);
  }

  #over(): boolean {
    return this.#options.isOver(this.#answered);
  }

  async #work(): Promise<void> {
    while (!this.#over()) await this.#one();
  }

  async #one(): Promise<void> {
    this.#requests += 1;
    this.#pending += 1;
    try {
      await this.#request(this.#requests);
      this.#answered += 1;
    } catch (error) {
      if (error instanceof Aborted) this.#aborted += 1;
      else count(...this.#classify(error as Error));
      // What is refused at once must not starve the rest.
      await delay(1 + this.#random() * 5);
    } finally {
      this.#pending -= 1;
      const { open, streams } = this.#pool.stats();
      this.#peakOpen = Math.max(this.#peakOpen, open - streams);
    }
  }

  #classify(error: Error & { code?: unknown }): [Record<string, number>, string] {
    const { code } = error;
    if (typeof code === "string" && CODED.test(code)) return [this.#failed, code];
    return [this.#untyped, `${error.name}: ${error.message}`];
  }

  async #request(number: number): Promise<void> {
    const fault = pick(MIX, this.#random);
    const method = pick(
      [["GET", 6] as const, ["POST", 3] as const, ["HEAD", 1] as const],
      this.#random,
    );
    const headers = { "x-id": `${method}-${number}` };
    const controller = new AbortController();
    const { signal } = controller;
    const lane = fault === "events" ? "stream" : "request";
    const body = method === "POST" ? this.#body() : null;
    const timer =
      this.#random() < 0.1 || fault === "events"
        ? setTimeout(() => controller.abort(new Aborted()), this.#random() * 60)
        : undefined;
    try {
      const url = `${this.#server.origin}/${fault}?ms=${Math.floor(this.#random() * 40)}`;
      const response = await this.#pool.fetch(url, { method, headers, body, lane, signal });
      const behaviour = this.#random();
      if (behaviour < 0.03) await response.body?.cancel();
      else if (behaviour < 0.04) await this.#forget(response);
      else await response.text();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Nobody reads it until the pool takes the connection back, or nothing is left to read. */
  async #forget(response: Response): Promise<void> {
    await delay(LIMITS.bodyTimeoutMs * 2);
    await response.text();
  }

  #body(): RequestInit["body"] & {} {
    const kind = this.#random();
    if (kind < 0.7) return "plain";
    return chunks(kind < 0.85);
  }

  /** What happens to all at once: outages, cuts, another size, health checks. */
  async #disturb(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(50 + this.#random() * 250, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const kind = this.#random();
      if (kind < 0.2) this.#server.cut();
      else if (kind < 0.3) await this.#outage();
      else if (kind < 0.6) this.#resize(1 + Math.floor(this.#random() * MAX_CONNECTIONS));
      else if (kind < 0.8) await this.#pool.healthCheck();
      else await this.#pool.warmUp().catch(() => undefined);
    }
  }

  #resize(to: number): void {
    this.#peakAllowed = Math.max(this.#peakAllowed, to);
    this.#pool.resize(to);
  }

  async #outage(): Promise<void> {
    this.#outages += 1;
    await this.#server.stop();
    await delay(20 + this.#random() * 100);
    await this.#server.start();
  }

  async #serves(): Promise<boolean> {
    const answer = this.#pool
      .fetch(`${this.#server.origin}/ok`)
      .then((response) => response.text());
    return (await answer.catch(() => "")) === "ok";
  }

  #report(durationMs: number, stuck: number, servedAfterwards: boolean): FaultReport {
    const twice = this.#server.executedMoreThan(1).filter((id) => id.startsWith("POST"));
    const more = this.#server.executedMoreThan(2);
    const report = {
      seed: this.#options.seed,
      durationMs: Math.round(durationMs),
      requests: this.#requests,
      answered: this.#answered,
      aborted: this.#aborted,
      failed: this.#failed,
      untyped: this.#untyped,
      stuck,
      executedTwice: new Set([...twice, ...more]).size,
      leakedSockets: this.#server.openSockets,
      leaked: this.#server.lastRequests(),
      peakOpen: this.#peakOpen,
      peakAllowed: this.#peakAllowed,
      outages: this.#outages,
      servedAfterwards,
      stats: this.#pool.stats(),
    };
    return { ...report, ok: isSound(report) };
  }
}

function isSound(report: Omit<FaultReport, "ok">): boolean {
  const { requests, answered, aborted, failed, untyped, stuck, stats } = report;
  const accounted = answered + aborted + sum(failed);
  return (
    accounted === requests &&
    stuck === 0 &&
    sum(untyped) === 0 &&
    report.executedTwice === 0 &&
    report.leakedSockets === 0 &&
    report.peakOpen <= report.peakAllowed &&
    report.servedAfterwards &&
    stats.open + stats.waiting + stats.active + stats.connecting === 0 &&
    sum(stats.closed) === stats.created
  );
}

async function* chunks(ends: boolean): AsyncGenerator<Uint8Array> {
  yield Buffer.from("part");
  await delay(1);
  if (!ends) throw new Aborted("the caller's own body broke");
  yield Buffer.from("end");
}

async function isSettled(promise: Promise<unknown>, withinMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(withinMs, false, { signal: timer.signal }).catch(() => false);
  const settled = await Promise.race([promise.then(() => true), late]);
  timer.abort();
  return settled;
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, value) => total + value, 0);
}

function pick<T>(weighted: readonly (readonly [T, number])[], random: () => number): T {
  const total = weighted.reduce((all, [, weight]) => all + weight, 0);
  let left = random() * total;
  for (const [value, weight] of weighted) {
    left -= weight;
    if (left < 0) return value;
  }
  throw new Error("no value to pick from");
}

/** Mulberry32, by Tommy Ettinger: small, seeded, good enough to choose faults. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
