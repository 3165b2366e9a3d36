import type { GetOrSetOptions, Settings } from "./options.ts";
import { lifetimeMs } from "./options.ts";

/** How old a value may get, and what happens when it is: the options of a call over those of the cache. */
export interface Freshness {
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly softTimeoutMs: number | undefined;
  readonly loadTimeoutMs: number;
  readonly eagerRefreshRatio: number;
  readonly negativeTtlMs: number;
  readonly negativeErrors: ((error: unknown) => boolean) | undefined;
}

/** The moments of one entry, in milliseconds of the cache's clock. */
export interface Life {
  /** From here on a hit is not just a hit: it is to be refreshed, or is no value. At most `expiresAt`. */
  readonly renewAt: number;
  readonly expiresAt: number;
  /** Until here an expired value may stand in. Only age is stretched so: a fence that moved ends it at once. */
  readonly staleUntil: number;
}

/** An error that is remembered like a value. */
export class Failure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Both have a say in how old a value may get: who computed it, and who reads it. */
export function staleUntil(life: Omit<Life, "renewAt">, staleMs: number): number {
  return Math.min(life.staleUntil, life.expiresAt + staleMs);
}

export function freshnessOf(settings: Settings, options: GetOrSetOptions = {}): Freshness {
  return {
    staleWhileRevalidateMs: options.staleWhileRevalidateMs ?? settings.staleWhileRevalidateMs,
    staleIfErrorMs: options.staleIfErrorMs ?? settings.staleIfErrorMs,
    softTimeoutMs: options.softTimeoutMs ?? settings.softTimeoutMs,
    loadTimeoutMs: options.loadTimeoutMs ?? settings.loadTimeoutMs,
    eagerRefreshRatio: options.eagerRefreshRatio ?? settings.eagerRefreshRatio,
    negativeTtlMs: options.negativeTtlMs ?? settings.negativeTtlMs,
    negativeErrors: options.negativeErrors ?? settings.negativeErrors,
  };
}

/** The life of what a compute gave, if it is stored now; `undefined` when it is not to be kept. */
export function lifeOfResult(
  settings: Settings,
  value: unknown,
  ttlMs: number | undefined,
  fresh: Freshness,
): Life | undefined {
  const empty = value === undefined || value === null;
  if (value instanceof Failure || (empty && fresh.negativeTtlMs > 0))
    return negativeLifeOf(settings, fresh.negativeTtlMs, value);
  return value === undefined ? undefined : lifeOf(settings, ttlMs, fresh);
}

/**
 * The life of a value stored now. The point of the eager refresh is a share of the lifetime, and not drawn for every read as in
 * XFetch (Vattani, Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention", VLDB 2015): single flight leaves
 * one refresh a key in any case, and a lead of a few compute times would let keys that are read seldom expire. The jitter of the
 * ttl keeps keys, and processes, from refreshing together.
 */
export function lifeOf(settings: Settings, ttlMs: number | undefined, fresh: Freshness): Life {
  const lifetime = lifetimeMs(settings, ttlMs);
  const now = settings.now();
  const staleMs = Math.max(fresh.staleWhileRevalidateMs, fresh.staleIfErrorMs);
  const expiresAt = now + lifetime;
  const renewAt =
    fresh.eagerRefreshRatio < 1 ? now + fresh.eagerRefreshRatio * lifetime : expiresAt;
  return { renewAt, expiresAt, staleUntil: expiresAt + staleMs };
}

/** `undefined` and `null`, and a failure, live for `negativeTtlMs`: neither refreshed early nor served stale. */
function negativeLifeOf(settings: Settings, ttlMs: number, value: unknown): Life {
  const expiresAt = settings.now() + lifetimeMs(settings, ttlMs);
  const renewAt = value instanceof Failure ? -Infinity : expiresAt;
  return { renewAt, expiresAt, staleUntil: expiresAt };
}

/** Whether a compute's error is an answer to remember; a predicate that throws says no. */
export function isAnswer({ negativeTtlMs, negativeErrors }: Freshness, error: unknown): boolean {
  if (negativeTtlMs <= 0 || negativeErrors === undefined) return false;
  try {
    return negativeErrors(error);
  } catch {
    return false;
  }
}
