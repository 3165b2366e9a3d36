import { InvalidArgumentError } from "./errors.ts";
import type { MemoryLevel } from "./level.ts";
import { monotonicNow, unrefSchedule } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";

const MIB = 1024 * 1024;
/** Longest delay that a Node timer can carry, in milliseconds. */
const MAX_DELAY_MS = 2 ** 31 - 1;
const IDLE_TIMEOUT_MS = 5 * 60_000;
const STALL_TIMEOUT_MS = 30_000;
const PRESSURE_STALL_TIMEOUT_MS = 1000;

export interface StreamGuardOptions {
  /** Bytes all sessions may hold together. */
  readonly maxMemoryBytes?: number;
  /** Bytes one session may hold, unless `open` says otherwise. */
  readonly sessionMaxMemoryBytes?: number;
  /** Bytes all sessions with the same `principal` may hold together; the guard's limit by default. */
  readonly principalMaxMemoryBytes?: number;
  readonly maxSessions?: number;
  /** Open sessions with the same `principal`; no bound of its own by default. */
  readonly maxSessionsPerPrincipal?: number;
  /** A session without a completed operation for so long is closed. */
  readonly idleTimeoutMs?: number;
  /** A session older than this is closed as soon as no operation is under way; never by default. */
  readonly maxAgeMs?: number;
  /** A session whose reader takes nothing for so long, while bytes wait for it, is closed. */
  readonly stallTimeoutMs?: number;
  /** From 80 % on, sessions stalled for at least this long give way, longest stalled first. */
  readonly pressureStallTimeoutMs?: number;
  /** When the guard is at 90 %, sessions idle for at least this long give way, longest idle first. */
  readonly evictAfterIdleMs?: number;
  /** From 80 % on, the longest that a source is paused before it may read one more chunk. */
  readonly maxPauseMs?: number;
  readonly sweepIntervalMs?: number;
  /** How long a stream or `reserveWhenAvailable` waits for room. */
  readonly reserveTimeoutMs?: number;
  /** Waiting reservations of one session. */
  readonly maxWaiting?: number;
  /** What refusals tell the caller. */
  readonly retryAfterMs?: number;
  /** Sessions are refused while its level is `critical`; a `MemoryMonitor` fits. */
  readonly monitor?: { readonly level: MemoryLevel };
  /** Milliseconds since the epoch; must not jump backwards. */
  readonly now?: () => number;
  readonly schedule?: Schedule;
}

export type ResolvedGuardOptions = Required<Omit<StreamGuardOptions, "monitor">> & {
  readonly monitor: { readonly level: MemoryLevel } | undefined;
};

type SessionTimeout = "idleTimeoutMs" | "stallTimeoutMs";

export interface OpenOptions {
  readonly id?: string;
  /** Whom the session serves; counted against `maxSessionsPerPrincipal` and `principalMaxMemoryBytes`. */
  readonly principal?: string;
  readonly maxMemoryBytes?: number;
  readonly idleTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
  /** Aborting it closes the session. */
  readonly signal?: AbortSignal;
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveGuardOptions(options: StreamGuardOptions): ResolvedGuardOptions {
  record("options", options);
  const maxMemoryBytes = bytes("maxMemoryBytes", options.maxMemoryBytes ?? 256 * MIB, 1);
  const sessionMaxMemoryBytes = bytes(
    "sessionMaxMemoryBytes",
    options.sessionMaxMemoryBytes ?? Math.min(8 * MIB, maxMemoryBytes),
    1,
  );
  atMost("sessionMaxMemoryBytes", sessionMaxMemoryBytes, "maxMemoryBytes", maxMemoryBytes);
  const principalMaxMemoryBytes = bytes(
    "principalMaxMemoryBytes",
    options.principalMaxMemoryBytes ?? maxMemoryBytes,
    1,
  );
  atMost("principalMaxMemoryBytes", principalMaxMemoryBytes, "maxMemoryBytes", maxMemoryBytes);
  const maxSessions = integer("maxSessions", options.maxSessions ?? 1000, 1);
  const stallTimeoutMs = duration("stallTimeoutMs", options.stallTimeoutMs ?? STALL_TIMEOUT_MS);
  return {
    maxMemoryBytes,
    sessionMaxMemoryBytes,
    principalMaxMemoryBytes,
    maxSessions,
    maxSessionsPerPrincipal: integer(
      "maxSessionsPerPrincipal",
      options.maxSessionsPerPrincipal ?? maxSessions,
      1,
    ),
    idleTimeoutMs: duration("idleTimeoutMs", options.idleTimeoutMs ?? IDLE_TIMEOUT_MS),
    maxAgeMs: optionalDuration("maxAgeMs", options.maxAgeMs),
    stallTimeoutMs,
    pressureStallTimeoutMs: pressureStallTimeout(options.pressureStallTimeoutMs, stallTimeoutMs),
    evictAfterIdleMs: duration("evictAfterIdleMs", options.evictAfterIdleMs ?? 10_000),
    maxPauseMs: duration("maxPauseMs", options.maxPauseMs ?? 1000),
    sweepIntervalMs: duration("sweepIntervalMs", options.sweepIntervalMs ?? 1000),
    reserveTimeoutMs: duration("reserveTimeoutMs", options.reserveTimeoutMs ?? 30_000),
    maxWaiting: integer("maxWaiting", options.maxWaiting ?? 1000, 0),
    retryAfterMs: duration("retryAfterMs", options.retryAfterMs ?? 1000),
    monitor: checkedMonitor(options.monitor),
    now: fn("now", options.now ?? monotonicNow),
    schedule: fn("schedule", options.schedule ?? unrefSchedule),
  };
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveOpenOptions(
  options: OpenOptions,
  guard: Pick<ResolvedGuardOptions, "maxMemoryBytes" | "sessionMaxMemoryBytes" | SessionTimeout>,
): Required<Pick<OpenOptions, "maxMemoryBytes" | SessionTimeout>> {
  record("options", options);
  const { id, principal, signal, maxMemoryBytes = guard.sessionMaxMemoryBytes } = options;
  for (const [name, value] of Object.entries({ id, principal })) {
    if (value !== undefined && (typeof value !== "string" || value === ""))
      throw new InvalidArgumentError(name, "a string that is not empty", value);
  }
  abortSignal("signal", signal);
  bytes("maxMemoryBytes", maxMemoryBytes, 1);
  atMost("maxMemoryBytes", maxMemoryBytes, "the guard's maxMemoryBytes", guard.maxMemoryBytes);
  const idleTimeoutMs = duration("idleTimeoutMs", options.idleTimeoutMs ?? guard.idleTimeoutMs);
  const stallTimeoutMs = duration("stallTimeoutMs", options.stallTimeoutMs ?? guard.stallTimeoutMs);
  return { maxMemoryBytes, idleTimeoutMs, stallTimeoutMs };
}

/**
 * Checks options with which sessions of a guard of `maxMemoryBytes` are opened later.
 *
 * @throws InvalidArgumentError naming the first option that is wrong
 */
export function checkOpenOptions(options: OpenOptions, maxMemoryBytes: number): void {
  resolveOpenOptions(options, {
    maxMemoryBytes,
    sessionMaxMemoryBytes: maxMemoryBytes,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
  });
}

export function integer(name: string, value: unknown, min: number): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min)
    throw new InvalidArgumentError(name, `an integer >= ${min}`, value);
  return value;
}

export function bytes(name: string, value: unknown, min = 0): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min)
    throw new InvalidArgumentError(name, `a whole number of bytes >= ${min}`, value);
  return value;
}

export function duration(name: string, value: unknown): number {
  if (typeof value !== "number" || !(value > 0 && value <= MAX_DELAY_MS))
    throw new InvalidArgumentError(name, `milliseconds > 0 and <= ${MAX_DELAY_MS}`, value);
  return value;
}

export function atMost(name: string, value: number, boundName: string, bound: number): void {
  if (value > bound) throw new InvalidArgumentError(name, `at most ${boundName} (${bound})`, value);
}

export function fn<T>(name: string, value: T): T {
  if (typeof value !== "function") throw new InvalidArgumentError(name, "a function", value);
  return value;
}

export function record(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null)
    throw new InvalidArgumentError(name, "an object", value);
}

export function abortSignal(name: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw new InvalidArgumentError(name, "an AbortSignal", value);
}

function checkedMonitor(monitor: StreamGuardOptions["monitor"]): ResolvedGuardOptions["monitor"] {
  if (monitor !== undefined && typeof (monitor as typeof monitor | null)?.level !== "string")
    throw new InvalidArgumentError("monitor", "an object with a level", monitor);
  return monitor;
}

function pressureStallTimeout(value: number | undefined, stallTimeoutMs: number): number {
  if (value === undefined) return Math.min(PRESSURE_STALL_TIMEOUT_MS, stallTimeoutMs);
  atMost("pressureStallTimeoutMs", value, "stallTimeoutMs", stallTimeoutMs);
  return duration("pressureStallTimeoutMs", value);
}

function optionalDuration(name: string, value: number | undefined): number {
  return value === undefined ? Number.POSITIVE_INFINITY : duration(name, value);
}
