import type { LookupFunction } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { InvalidArgumentError } from "./errors.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

/** Longest delay that a Node timer can carry, in milliseconds. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export interface ConnectionPoolOptions {
  readonly maxConnections?: number | undefined;
  /** Connections kept ready though nobody asks for them. */
  readonly minIdle?: number | undefined;
  /** Idle connections kept; as many as `maxConnections` by default. */
  readonly maxIdle?: number | undefined;
  readonly maxIdleTimeMs?: number | undefined;
  readonly maxLifetimeMs?: number | undefined;
  /** Part of `maxLifetimeMs`, 0 to 1, that is taken off at random, so that connections do not end together. */
  readonly lifetimeJitter?: number | undefined;
  /** Requests that may wait while every connection is in use. */
  readonly queueLimit?: number | undefined;
  readonly queueTimeoutMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** 0 switches it off. */
  readonly headersTimeoutMs?: number | undefined;
  /** Silence between two chunks of a body, of the request or the response, and how long an unread body may hold its connection; 0 switches it off. */
  readonly bodyTimeoutMs?: number | undefined;
  /** Idle life of a connection whose server gives no `Keep-Alive` hint. */
  readonly keepAliveTimeoutMs?: number | undefined;
  /**
   * Path of a GET that keeps idle connections alive: it is sent shortly before the server would close them, on the
   * `minIdle` used last, and on one more until nothing else has used it for `maxIdleTimeMs`. Off without it.
   */
  readonly keepAlivePath?: string | undefined;
  /** An unread body that holds its connection for so long is reported as a leak; 0 switches it off. */
  readonly leakAfterMs?: number | undefined;
  /** Part of the requests, 0 to 1, whose call stack is kept for the report of a leak. */
  readonly leakStackRatio?: number | undefined;
  /** Connections beyond `maxConnections` for requests with `lane: "stream"`. */
  readonly maxStreams?: number | undefined;
  /** Connections beyond `maxConnections` for requests with `lane: "reply"`, while all others are in use. */
  readonly maxReplies?: number | undefined;
  /** Path that `healthCheck` requests; without it a connection is opened and closed. */
  readonly healthCheckPath?: string | undefined;
  readonly healthCheckMethod?: "GET" | "OPTIONS" | undefined;
  readonly healthCheckTimeoutMs?: number | undefined;
  /** Asked for every address at connect time, after DNS; refusing all of them is an `AddressNotAllowedError`. */
  readonly allowAddress?: ((address: string) => boolean) | undefined;
  readonly lookup?: LookupFunction | undefined;
  /** Speaks HTTP/2 over TLS with an upstream that offers it, one request at a time on each connection. */
  readonly allowH2?: boolean | undefined;
  /** Passed on to `tls.connect`. */
  readonly tls?: ConnectionOptions | undefined;
  /** Milliseconds; must not jump backwards. */
  readonly now?: (() => number) | undefined;
  /** From 0 to 1, like `Math.random`. */
  readonly random?: (() => number) | undefined;
  readonly schedule?: Schedule | undefined;
}

type OptionalKeys = "healthCheckPath" | "keepAlivePath" | "allowAddress" | "lookup" | "tls";

type All<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

export type ResolvedPoolOptions = All<Omit<ConnectionPoolOptions, OptionalKeys>> & {
  readonly [K in OptionalKeys]: ConnectionPoolOptions[K] | undefined;
};

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolvePoolOptions(options: ConnectionPoolOptions): ResolvedPoolOptions {
  optionalObject("options", options);
  const maxConnections = integer("maxConnections", options.maxConnections ?? 64, 1);
  const maxIdle = integer("maxIdle", options.maxIdle ?? maxConnections, 0);
  const resolved: ResolvedPoolOptions = {
    maxConnections,
    maxIdle,
    minIdle: integer("minIdle", options.minIdle ?? 0, 0, Math.min(maxIdle, maxConnections)),
    maxIdleTimeMs: duration("maxIdleTimeMs", options.maxIdleTimeMs ?? 60_000),
    maxLifetimeMs: duration("maxLifetimeMs", options.maxLifetimeMs ?? 600_000),
    lifetimeJitter: ratio("lifetimeJitter", options.lifetimeJitter ?? 0.1),
    queueLimit: integer("queueLimit", options.queueLimit ?? 1000, 0),
    queueTimeoutMs: duration("queueTimeoutMs", options.queueTimeoutMs ?? 10_000),
    connectTimeoutMs: duration("connectTimeoutMs", options.connectTimeoutMs ?? 5000),
    headersTimeoutMs: timeout("headersTimeoutMs", options.headersTimeoutMs ?? 60_000),
    bodyTimeoutMs: timeout("bodyTimeoutMs", options.bodyTimeoutMs ?? 60_000),
    keepAliveTimeoutMs: duration("keepAliveTimeoutMs", options.keepAliveTimeoutMs ?? 4000),
    keepAlivePath: optionalPath("keepAlivePath", options.keepAlivePath),
    leakAfterMs: timeout("leakAfterMs", options.leakAfterMs ?? 30_000),
    leakStackRatio: ratio("leakStackRatio", options.leakStackRatio ?? 0),
    maxStreams: integer("maxStreams", options.maxStreams ?? 100, 0),
    maxReplies: integer("maxReplies", options.maxReplies ?? 8, 1),
    healthCheckPath: optionalPath("healthCheckPath", options.healthCheckPath),
    healthCheckMethod: checkMethod(options.healthCheckMethod ?? "GET"),
    healthCheckTimeoutMs: duration("healthCheckTimeoutMs", options.healthCheckTimeoutMs ?? 2000),
    allowAddress: optionalFn("allowAddress", options.allowAddress),
    lookup: optionalFn("lookup", options.lookup),
    allowH2: bool("allowH2", options.allowH2 ?? false),
    tls: optionalObject("tls", options.tls),
    now: fn("now", options.now ?? monotonicNow),
    random: fn("random", options.random ?? Math.random),
    schedule: fn("schedule", options.schedule ?? unrefSchedule),
  };
  refuseUnknown("", options, resolved);
  return resolved;
}

/**
 * A name that is misspelt would leave its option at the default.
 * @throws InvalidArgumentError
 */
export function refuseUnknown(prefix: string, options: object, known: object): void {
  for (const name of Object.keys(options))
    if (!Object.hasOwn(known, name))
      throw new InvalidArgumentError(
        `${prefix}${name}`,
        `one of the options ${Object.keys(known).toSorted().join(", ")}`,
        "another name",
      );
}

/**
 * The origin to connect to.
 * @throws InvalidArgumentError when it is not http(s), or has credentials, a path or a query
 */
export function parseOrigin(name: string, value: unknown): URL {
  const expected = "an http: or https: origin without credentials, path or query";
  const url =
    typeof value === "string" || value instanceof URL ? URL.parse(String(value)) : undefined;
  // What came may hold credentials, so that it is described by its kind only.
  if (url === undefined || url === null)
    throw new InvalidArgumentError(name, expected, typeof value);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidArgumentError(name, expected, url.protocol);
  if (url.username !== "" || url.password !== "")
    throw new InvalidArgumentError(name, expected, "credentials");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw new InvalidArgumentError(name, expected, "a path, query or fragment");
  return url;
}

export function integer(name: string, value: unknown, min: number, max: number = Infinity): number {
  const bound = max === Infinity ? `>= ${min}` : `from ${min} to ${max}`;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max)
    throw new InvalidArgumentError(name, `an integer ${bound}`, value);
  return value;
}

export function finite(name: string, value: unknown, min: number, max: number = Infinity): number {
  const bound = max === Infinity ? `>= ${min}` : `from ${min} to ${max}`;
  if (typeof value !== "number" || !Number.isFinite(value) || value < min || value > max)
    throw new InvalidArgumentError(name, `a number ${bound}`, value);
  return value;
}

export function duration(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value > 0 && value <= MAX_DELAY_MS))
    throw new InvalidArgumentError(name, `milliseconds > 0 and <= ${MAX_DELAY_MS}`, value);
  return value;
}

export function optionalFn<T>(name: string, value: T): T {
  return value === undefined ? value : fn(name, value);
}

export function timeout(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError(name, "whole milliseconds >= 0", value);
  return value === 0 ? 0 : duration(name, value);
}

export function ratio(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError(name, "a number from 0 to 1", value);
  return value;
}

export function bool(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new InvalidArgumentError(name, "true or false", value);
  return value;
}

export function fn<T>(name: string, value: T): T {
  if (typeof value !== "function") throw new InvalidArgumentError(name, "a function", value);
  return value;
}

export function optionalPath(name: string, value: string | undefined): string | undefined {
  // A path may hold secrets, so that it is described by its kind only.
  if (value !== undefined && (typeof value !== "string" || !value.startsWith("/")))
    throw new InvalidArgumentError(name, "a path that starts with /", `a ${typeof value}`);
  return value;
}

/** Never HEAD: too many servers answer it wrongly. */
function checkMethod(method: "GET" | "OPTIONS"): "GET" | "OPTIONS" {
  if (method !== "GET" && method !== "OPTIONS")
    throw new InvalidArgumentError("healthCheckMethod", '"GET" or "OPTIONS"', method);
  return method;
}

export function optionalObject<T>(name: string, value: T): T {
  if (value !== undefined && (typeof value !== "object" || value === null))
    throw new InvalidArgumentError(name, "an object", value);
  return value;
}
