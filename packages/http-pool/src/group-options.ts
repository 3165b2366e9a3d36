import { InvalidArgumentError } from "./errors.ts";
import {
  bool,
  duration,
  finite,
  fn,
  integer,
  optionalFn,
  optionalObject,
  optionalPath,
  parseOrigin,
  ratio,
  refuseUnknown,
  resolvePoolOptions,
  timeout,
} from "./options.ts";
import type { ConnectionPoolOptions } from "./options.ts";
import { nameOf } from "./prepare-dispatch.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

export type Balance = "peak-ewma" | "least-request" | "round-robin" | "hash";

export interface UpstreamOptions {
  readonly origin: string | URL;
  /** Its share of the requests, against the others'. */
  readonly weight?: number | undefined;
  /** Where it is; compared with the group's `zone`. */
  readonly zone?: string | undefined;
}

export interface ProbeOptions {
  /** Requested from every upstream; without it a connection is opened, and only to those that failed. */
  readonly path?: string | undefined;
  readonly method?: "GET" | "OPTIONS" | undefined;
  readonly intervalMs?: number | undefined;
  /** Part of the interval, 0 to 1, that is taken off at random. */
  readonly jitter?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** Good probes in a row until an upstream is healthy again. */
  readonly healthyThreshold?: number | undefined;
  /** Bad probes in a row until an upstream is not. */
  readonly unhealthyThreshold?: number | undefined;
}

export interface OutlierOptions {
  readonly consecutiveFailures?: number | undefined;
  /** Of the first ejection; each further one doubles it. */
  readonly baseEjectionMs?: number | undefined;
  readonly maxEjectionMs?: number | undefined;
  /** Part of the upstreams, 0 to 1, that may be ejected at a time; one of several always may. */
  readonly maxEjectedShare?: number | undefined;
  /** Eject those that fail much more often than the others do, too. */
  readonly successRate?: boolean | undefined;
  /** Shortest silence that counts as a hang; 0 switches it off. */
  readonly minHangMs?: number | undefined;
}

export interface CircuitBreakerOptions {
  readonly consecutiveFailures?: number | undefined;
  /** Part of the requests of a window, 0 to 1, that must fail. */
  readonly failureRate?: number | undefined;
  readonly minRequests?: number | undefined;
  readonly windowMs?: number | undefined;
  readonly openMs?: number | undefined;
  /** Requests at a time that find out whether it works again. */
  readonly trials?: number | undefined;
}

export interface RetryOptions {
  /** The first one included. */
  readonly maxAttempts?: number | undefined;
  /** Answers that are as good as none, for a request that may be sent twice. */
  readonly statusCodes?: readonly number[] | undefined;
  /** Part of the requests, 0 to 1, that may be sent again. */
  readonly budgetRatio?: number | undefined;
  readonly budgetMinPerSecond?: number | undefined;
  /** Backoff, where only the same upstream will do. */
  readonly baseDelayMs?: number | undefined;
  readonly maxDelayMs?: number | undefined;
}

export interface HedgeOptions {
  /** Without an answer for so long, a second upstream is asked; by default after what 95 % do not exceed. */
  readonly delayMs?: number | undefined;
  /** Part of the requests, 0 to 1, that may be hedged. */
  readonly budgetRatio?: number | undefined;
}

export interface UpstreamGroupOptions {
  /** What requests are addressed to, with its `Host` and TLS name; any upstream's origin by default. */
  readonly origin?: string | URL | undefined;
  readonly balance?: Balance | undefined;
  /** For `balance: "hash"`: requests with the same key go to the same upstream. */
  readonly hashKey?: ((options: PoolDispatchOptions) => string | undefined) | undefined;
  /** Send a request with a key to the next upstream when its own fails. */
  readonly hashFailover?: boolean | undefined;
  /** How far above its share an upstream may be loaded before keys move on; unbounded by default. */
  readonly hashLoadFactor?: number | undefined;
  /** Of every upstream. */
  readonly pool?: ConnectionPoolOptions | undefined;
  /** Asked for every address at connect time, after DNS, for redirects too. */
  readonly allowAddress?: ((address: string) => boolean) | undefined;
  /** Where this client is: upstreams of the same zone come first. */
  readonly zone?: string | undefined;
  readonly slowStartMs?: number | undefined;
  /** Decay of the moving average of `peak-ewma`. */
  readonly ewmaDecayMs?: number | undefined;
  readonly probe?: ProbeOptions | false | undefined;
  readonly outlier?: OutlierOptions | false | undefined;
  readonly circuit?: CircuitBreakerOptions | false | undefined;
  readonly retry?: RetryOptions | false | undefined;
  readonly hedge?: HedgeOptions | boolean | undefined;
  /** Part of the upstreams, 0 to 1; with fewer that are fit, all are used. */
  readonly panicThreshold?: number | undefined;
  readonly maxUpstreams?: number | undefined;
  /** Sessions whose upstream is remembered. */
  readonly maxSessions?: number | undefined;
  /** How long an upstream may be unfit before its sessions may go elsewhere. */
  readonly sessionGraceMs?: number | undefined;
  /** Milliseconds; must not jump backwards. */
  readonly now?: (() => number) | undefined;
  /** From 0 to 1, like `Math.random`. */
  readonly random?: (() => number) | undefined;
  readonly schedule?: Schedule | undefined;
}

type All<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

export interface ResolvedGroupOptions {
  readonly origin: URL | undefined;
  readonly balance: Balance;
  readonly hashKey: (options: PoolDispatchOptions) => string | undefined;
  readonly hashFailover: boolean;
  readonly hashLoadFactor: number;
  readonly pool: ConnectionPoolOptions;
  readonly zone: string | undefined;
  readonly slowStartMs: number;
  readonly ewmaDecayMs: number;
  readonly probe: (Omit<All<ProbeOptions>, "path"> & { path: string | undefined }) | undefined;
  readonly outlier: All<OutlierOptions>;
  readonly circuit: All<CircuitBreakerOptions>;
  readonly retry: Omit<All<RetryOptions>, "statusCodes"> & { statusCodes: ReadonlySet<number> };
  readonly hedge:
    | { readonly delayMs: number | undefined; readonly budgetRatio: number }
    | undefined;
  readonly panicThreshold: number;
  readonly maxUpstreams: number;
  readonly maxSessions: number;
  readonly sessionGraceMs: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly schedule: Schedule;
}

const BALANCES: readonly unknown[] = ["peak-ewma", "least-request", "round-robin", "hash"];
const NEVER = Number.MAX_SAFE_INTEGER;

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveGroupOptions(
  options: UpstreamGroupOptions,
  defaultKey: (options: PoolDispatchOptions) => string | undefined,
): ResolvedGroupOptions {
  optionalObject("options", options);
  const { balance = "peak-ewma", origin } = options;
  if (!BALANCES.includes(balance))
    throw new InvalidArgumentError("balance", `one of ${BALANCES.join(", ")}`, balance);
  optionalFn("hashKey", options.hashKey);
  const clocks = {
    now: fn("now", options.now ?? monotonicNow),
    random: fn("random", options.random ?? Math.random),
    schedule: fn("schedule", options.schedule ?? unrefSchedule),
  };
  const virtual = origin === undefined ? undefined : parseOrigin("origin", origin);
  const probe = resolveProbe(options.probe ?? {});
  optionalObject("pool", options.pool);
  const { allowAddress = options.pool?.allowAddress } = options;
  optionalFn("allowAddress", allowAddress);
  const pool = { ...options.pool, ...(allowAddress && { allowAddress }), ...clocks };
  const resolved: ResolvedGroupOptions = {
    ...clocks,
    origin: virtual,
    balance,
    hashKey: options.hashKey ?? defaultKey,
    hashFailover: bool("hashFailover", options.hashFailover ?? false),
    hashLoadFactor: finite("hashLoadFactor", options.hashLoadFactor ?? NEVER, 1),
    pool: poolOptions(pool, virtual, probe),
    zone: checkZone(options.zone),
    slowStartMs: timeout("slowStartMs", options.slowStartMs ?? 5000),
    ewmaDecayMs: duration("ewmaDecayMs", options.ewmaDecayMs ?? 10_000),
    probe,
    outlier: resolveOutlier(options.outlier ?? {}),
    circuit: resolveCircuit(options.circuit ?? {}),
    retry: resolveRetry(options.retry ?? {}),
    hedge: resolveHedge(options.hedge ?? false),
    panicThreshold: ratio("panicThreshold", options.panicThreshold ?? 0.3),
    maxUpstreams: integer("maxUpstreams", options.maxUpstreams ?? 100, 1),
    maxSessions: integer("maxSessions", options.maxSessions ?? 10_000, 1),
    sessionGraceMs: duration("sessionGraceMs", options.sessionGraceMs ?? 30_000),
  };
  refuseUnknown("", options, { ...resolved, allowAddress });
  return resolved;
}

export interface ResolvedUpstream {
  readonly origin: URL;
  readonly weight: number;
  readonly zone: string | undefined;
}

/** @throws InvalidArgumentError */
export function resolveUpstream(upstream: string | URL | UpstreamOptions): ResolvedUpstream {
  // What is no object is no origin either, which is said of it.
  const isOptions = typeof upstream === "object" && upstream !== null && !(upstream instanceof URL);
  const { origin, weight, zone, ...unknown }: UpstreamOptions = isOptions
    ? upstream
    : { origin: upstream };
  refuseUnknown("upstream.", unknown, { origin, weight, zone });
  return {
    origin: parseOrigin("upstream", origin),
    weight: checkWeight(weight ?? 1),
    zone: checkZone(zone),
  };
}

function checkZone(zone: unknown): string | undefined {
  if (zone !== undefined && typeof zone !== "string")
    throw new InvalidArgumentError("zone", "a string", zone);
  return zone;
}

/** @throws InvalidArgumentError */
export function checkWeight(weight: unknown): number {
  return finite("weight", weight, 0.001, 1000);
}

function poolOptions(
  pool: ConnectionPoolOptions,
  virtual: URL | undefined,
  probe: ResolvedGroupOptions["probe"],
): ConnectionPoolOptions {
  const servername = virtual && nameOf(virtual);
  const tls = servername === undefined ? undefined : { servername, ...pool.tls };
  const resolved = {
    ...pool,
    ...(tls && { tls }),
    ...(probe && { healthCheckTimeoutMs: probe.timeoutMs, healthCheckMethod: probe.method }),
    ...(probe?.path !== undefined && { healthCheckPath: probe.path }),
  };
  resolvePoolOptions(resolved);
  return resolved;
}

function resolveProbe(probe: ProbeOptions | false): ResolvedGroupOptions["probe"] {
  if (probe === false) return undefined;
  optionalObject("probe", probe);
  const { method = "GET" } = probe;
  if (method !== "GET" && method !== "OPTIONS")
    throw new InvalidArgumentError("probe.method", '"GET" or "OPTIONS"', method);
  const resolved = {
    path: optionalPath("probe.path", probe.path),
    method,
    intervalMs: duration("probe.intervalMs", probe.intervalMs ?? 1000),
    jitter: ratio("probe.jitter", probe.jitter ?? 0.2),
    timeoutMs: duration("probe.timeoutMs", probe.timeoutMs ?? 1000),
    healthyThreshold: integer("probe.healthyThreshold", probe.healthyThreshold ?? 1, 1),
    unhealthyThreshold: integer("probe.unhealthyThreshold", probe.unhealthyThreshold ?? 3, 1),
  };
  refuseUnknown("probe.", probe, resolved);
  return resolved;
}

function resolveOutlier(outlier: OutlierOptions | false): All<OutlierOptions> {
  if (outlier === false)
    return { ...resolveOutlier({ minHangMs: 0 }), consecutiveFailures: NEVER, maxEjectedShare: 0 };
  optionalObject("outlier", outlier);
  const base = duration("outlier.baseEjectionMs", outlier.baseEjectionMs ?? 5000);
  const resolved = {
    consecutiveFailures: integer(
      "outlier.consecutiveFailures",
      outlier.consecutiveFailures ?? 5,
      1,
    ),
    baseEjectionMs: base,
    maxEjectionMs: duration(
      "outlier.maxEjectionMs",
      outlier.maxEjectionMs ?? Math.max(base, 120_000),
    ),
    maxEjectedShare: ratio("outlier.maxEjectedShare", outlier.maxEjectedShare ?? 0.5),
    successRate: bool("outlier.successRate", outlier.successRate ?? false),
    minHangMs: timeout("outlier.minHangMs", outlier.minHangMs ?? 100),
  };
  refuseUnknown("outlier.", outlier, resolved);
  return resolved;
}

function resolveCircuit(circuit: CircuitBreakerOptions | false): All<CircuitBreakerOptions> {
  if (circuit === false)
    return { ...resolveCircuit({}), consecutiveFailures: NEVER, minRequests: NEVER };
  optionalObject("circuit", circuit);
  const resolved = {
    consecutiveFailures: integer(
      "circuit.consecutiveFailures",
      circuit.consecutiveFailures ?? 10,
      1,
    ),
    failureRate: ratio("circuit.failureRate", circuit.failureRate ?? 0.5),
    minRequests: integer("circuit.minRequests", circuit.minRequests ?? 20, 1),
    windowMs: duration("circuit.windowMs", circuit.windowMs ?? 10_000),
    openMs: duration("circuit.openMs", circuit.openMs ?? 1000),
    trials: integer("circuit.trials", circuit.trials ?? 1, 1),
  };
  refuseUnknown("circuit.", circuit, resolved);
  return resolved;
}

function resolveRetry(retry: RetryOptions | false): ResolvedGroupOptions["retry"] {
  if (retry === false) return { ...resolveRetry({}), maxAttempts: 1 };
  optionalObject("retry", retry);
  const statusCodes: unknown = retry.statusCodes ?? [502, 503, 504];
  if (!Array.isArray(statusCodes))
    throw new InvalidArgumentError("retry.statusCodes", "an array of statuses", statusCodes);
  for (const status of statusCodes) integer("retry.statusCodes", status, 400, 599);
  const resolved = {
    maxAttempts: integer("retry.maxAttempts", retry.maxAttempts ?? 3, 1, 10),
    statusCodes: new Set<number>(statusCodes),
    budgetRatio: ratio("retry.budgetRatio", retry.budgetRatio ?? 0.1),
    budgetMinPerSecond: finite("retry.budgetMinPerSecond", retry.budgetMinPerSecond ?? 5, 0),
    baseDelayMs: duration("retry.baseDelayMs", retry.baseDelayMs ?? 25),
    maxDelayMs: duration("retry.maxDelayMs", retry.maxDelayMs ?? 1000),
  };
  refuseUnknown("retry.", retry, resolved);
  return resolved;
}

function resolveHedge(hedge: HedgeOptions | boolean): ResolvedGroupOptions["hedge"] {
  if (hedge === false) return undefined;
  if (hedge !== true) optionalObject("hedge", hedge);
  const { delayMs, budgetRatio, ...unknown } = hedge === true ? {} : hedge;
  refuseUnknown("hedge.", unknown, { delayMs, budgetRatio });
  return {
    delayMs: delayMs === undefined ? undefined : duration("hedge.delayMs", delayMs),
    budgetRatio: ratio("hedge.budgetRatio", budgetRatio ?? 0.1),
  };
}
