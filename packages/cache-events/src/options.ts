import type { Keyv } from "keyv";
import {
  checkName,
  checkOptions,
  freshnessChecks,
  having,
  havingEither,
  integer,
  number,
  oneOf,
  record,
  typed,
} from "./checks.ts";
import type { Check } from "./checks.ts";
import { coarseClock, systemClock } from "./clock.ts";
import type { CacheEventBus, CacheInvalidationEvent } from "./event-bus.ts";
import { CacheOptionError } from "./errors.ts";
import type { SharedStore } from "./shared-store.ts";
import { estimateBytes } from "./size.ts";
import { maxDelayMs, systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";

export type Rules<E extends { readonly type: string }> = {
  readonly [K in E["type"]]?: (event: Extract<E, { type: K }>) => readonly string[];
};

/** Whether entries in memory may be used while the store's mirror of the fences may lag behind the store. */
export type Consistency = "strict" | "mirrored";

export interface EventCacheOptions<E extends { readonly type: string } = CacheInvalidationEvent> {
  readonly name?: string;
  readonly maxEntries?: number;
  readonly maxBytes?: number;
  readonly ttlMs?: number;
  readonly ttlJitter?: number;
  readonly staleWhileRevalidateMs?: number;
  readonly staleIfErrorMs?: number;
  readonly eagerRefreshRatio?: number;
  readonly maxRefreshes?: number;
  readonly negativeTtlMs?: number;
  readonly negativeErrors?: (error: unknown) => boolean;
  readonly softTimeoutMs?: number;
  readonly loadTimeoutMs?: number;
  readonly detectCycles?: boolean;
  readonly subscriberTimeoutMs?: number;
  readonly bus?: CacheEventBus<E>;
  readonly rules?: Rules<E>;
  readonly operations?: Readonly<Record<string, readonly string[]>>;
  readonly store?: Keyv | SharedStore;
  readonly storeTimeoutMs?: number;
  readonly consistency?: Consistency;
  readonly epoch?: () => number | string;
  readonly verifyRatio?: number;
  readonly sizeOf?: (value: unknown) => number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export interface KeyOptions {
  readonly namespace?: string;
}

export interface SetOptions extends KeyOptions {
  readonly tags?: readonly string[];
  readonly ttlMs?: number;
}

export interface LoadOptions extends KeyOptions {
  readonly ttlMs?: number;
  readonly staleWhileRevalidateMs?: number;
  readonly staleIfErrorMs?: number;
  readonly eagerRefreshRatio?: number;
  readonly negativeTtlMs?: number;
  readonly negativeErrors?: (error: unknown) => boolean;
  readonly softTimeoutMs?: number;
  readonly loadTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface GetOrSetOptions extends LoadOptions {
  readonly tags?: readonly string[];
}

/** Tags for each key, or for all. */
export type TagsOf<K extends string> = readonly string[] | ((key: K) => readonly string[]);

export interface GetOrSetManyOptions<K extends string = string> extends LoadOptions {
  readonly tags?: TagsOf<K>;
}

export interface SetManyOptions<K extends string = string> extends KeyOptions {
  readonly tags?: TagsOf<K>;
  readonly ttlMs?: number;
}

export interface Settings {
  readonly name: string;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly ttlJitter: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly eagerRefreshRatio: number;
  readonly maxRefreshes: number;
  readonly negativeTtlMs: number;
  readonly negativeErrors: ((error: unknown) => boolean) | undefined;
  readonly softTimeoutMs: number | undefined;
  readonly loadTimeoutMs: number;
  readonly detectCycles: boolean;
  readonly subscriberTimeoutMs: number;
  readonly operations: ReadonlyMap<string, readonly string[]>;
  readonly store: Keyv | SharedStore | undefined;
  readonly storeTimeoutMs: number;
  readonly consistency: Consistency;
  readonly epoch: (() => number | string) | undefined;
  readonly verifyRatio: number;
  readonly sizeOf: (value: unknown) => number;
  /** Exact; `clock` may lag it by a millisecond and is what a hit can afford. */
  readonly now: () => number;
  readonly clock: () => number;
  readonly random: () => number;
  readonly timers: Timers;
}

const checks: Readonly<Record<keyof EventCacheOptions, Check>> = {
  name: checkName,
  maxEntries: integer(1, 2 ** 24),
  maxBytes: integer(1, Number.MAX_SAFE_INTEGER),
  ttlJitter: number(0, 1),
  ...freshnessChecks,
  maxRefreshes: integer(1, 2 ** 16),
  detectCycles: typed("boolean"),
  subscriberTimeoutMs: number(1, maxDelayMs),
  bus: having("a CacheEventBus", "attach", "emit"),
  rules: record("functions", (rule) => typeof rule === "function"),
  operations: record("arrays of tags", isTags),
  store: havingEither(
    ["a Keyv", "encode", "decode"],
    ["a SharedStore", "read", "write", "remove", "moveFences"],
  ),
  storeTimeoutMs: number(1, maxDelayMs),
  consistency: oneOf("strict", "mirrored"),
  epoch: typed("function"),
  verifyRatio: number(0, 1),
  sizeOf: typed("function"),
  now: typed("function"),
  random: typed("function"),
  timers: having("an object", "set", "clear"),
};

/** @throws CacheOptionError */
export function resolveOptions<E extends { readonly type: string }>(
  options: EventCacheOptions<E>,
): Settings {
  checkOptions(options, checks);
  if (options.store !== undefined) absent(options, "epoch", "a store");
  if (options.bus !== undefined) absent(options, "subscriberTimeoutMs", "a bus");
  return {
    name: options.name ?? "default",
    maxEntries: options.maxEntries ?? 10_000,
    maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
    ttlMs: options.ttlMs ?? 300_000,
    ttlJitter: options.ttlJitter ?? 0.1,
    staleWhileRevalidateMs: options.staleWhileRevalidateMs ?? 0,
    staleIfErrorMs: options.staleIfErrorMs ?? 0,
    eagerRefreshRatio: options.eagerRefreshRatio ?? 1,
    maxRefreshes: options.maxRefreshes ?? 32,
    negativeTtlMs: options.negativeTtlMs ?? 0,
    negativeErrors: options.negativeErrors,
    softTimeoutMs: options.softTimeoutMs,
    loadTimeoutMs: options.loadTimeoutMs ?? 30_000,
    detectCycles: options.detectCycles ?? true,
    subscriberTimeoutMs: options.subscriberTimeoutMs ?? 30_000,
    operations: new Map(Object.entries(options.operations ?? {})),
    store: options.store,
    storeTimeoutMs: options.storeTimeoutMs ?? 2_000,
    consistency: consistencyOf(options),
    epoch: options.epoch,
    verifyRatio: options.verifyRatio ?? 0,
    sizeOf: options.sizeOf ?? estimateBytes,
    now: options.now ?? systemClock,
    clock: options.now ?? coarseClock(),
    random: options.random ?? Math.random,
    timers: options.timers ?? systemTimers,
  };
}

function absent(options: object, name: string, beside: string): void {
  const value: unknown = Reflect.get(options, name);
  if (value !== undefined)
    throw new CacheOptionError(name, `undefined when there is ${beside}`, value);
}

export function isTags(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((tag) => typeof tag === "string" && tag !== "");
}

/** Milliseconds until a value stored now expires: `ttlMs`, shortened by up to `ttlJitter` of itself. */
export function lifetimeMs(settings: Settings, ttlMs: number | undefined): number {
  return (ttlMs ?? settings.ttlMs) * (1 - settings.ttlJitter * settings.random());
}

function consistencyOf({
  consistency = "strict",
  store,
}: Pick<EventCacheOptions, "consistency" | "store">): Consistency {
  if (consistency === "mirrored" && store === undefined)
    throw new CacheOptionError("consistency", '"strict" when there is no store', consistency);
  return consistency;
}
