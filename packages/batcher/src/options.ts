import { monotonic } from "./clock.ts";
import type { BatchController } from "./controller.ts";
import type { LoadReading } from "./growth-brake.ts";
import { BatcherOptionError } from "./errors.ts";
import type { Verdict } from "./failure.ts";
import { classifyError } from "./failure.ts";
import { maxDelayMs, systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";

/** Options that `tune()` may change while the batcher runs. */
export interface TunableOptions {
  readonly maxBatchSize?: number;
  readonly maxConcurrentBatches?: number;
  readonly adaptiveSizing?: boolean;
  readonly lingerMs?: number;
  readonly queueLimit?: number;
  readonly queueMaxBytes?: number;
  /** Of what the others leave of the queue, by items and bytes, how much one `key` may hold. */
  readonly queueKeyShare?: number;
  readonly maxAttempts?: number;
  readonly retryBudgetRatio?: number;
  readonly retryBackoffMs?: number;
  readonly retryBackoffMaxMs?: number;
  readonly latencyObjectiveMs?: number;
  readonly batchTimeoutMs?: number;
  readonly priorityAgeingMs?: number;
  readonly dedupeWindowMs?: number;
}

export interface BatchProcessorOptions<T, R = unknown> extends TunableOptions {
  readonly controller?: BatchController;
  readonly sizeOf?: (item: T) => number;
  readonly idempotent?: boolean;
  readonly classify?: (error: unknown) => Verdict;
  /** Whether a value is the item's own; how results that came in another order are found out. */
  readonly matches?: (item: T, value: R) => boolean;
  /** How busy this process is; adaptive sizing does not grow while it is high. */
  readonly load?: () => LoadReading;
  readonly historyLimit?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export type Tunables = Required<Omit<TunableOptions, "latencyObjectiveMs">> & {
  readonly latencyObjectiveMs: number | undefined;
};

export interface Settings<T, R> {
  readonly tunables: Tunables;
  readonly controller: BatchController | undefined;
  readonly sizeOf: ((item: T) => number) | undefined;
  readonly idempotent: boolean;
  readonly classify: (error: unknown) => Verdict;
  readonly matches: ((item: T, value: R) => boolean) | undefined;
  readonly load: (() => LoadReading) | undefined;
  readonly historyLimit: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly timers: Timers;
}

export const defaultHistoryLimit = 256;

export const defaults: Tunables = {
  maxBatchSize: 100,
  maxConcurrentBatches: 4,
  adaptiveSizing: true,
  lingerMs: 0,
  queueLimit: 10_000,
  queueMaxBytes: 64 * 1024 * 1024,
  queueKeyShare: 0.9,
  maxAttempts: 3,
  retryBudgetRatio: 0.1,
  retryBackoffMs: 100,
  retryBackoffMaxMs: 5_000,
  latencyObjectiveMs: undefined,
  batchTimeoutMs: 30_000,
  priorityAgeingMs: 1_000,
  dedupeWindowMs: 0,
};

/** What a value must be. */
export interface Rule {
  /** With its article: "an integer from 1 to 100". */
  readonly expected: string;
  accepts(value: unknown): boolean;
}

export const tunableRules: Readonly<Record<keyof Tunables, Rule>> = {
  maxBatchSize: integer(1, 1_000_000),
  maxConcurrentBatches: integer(1, 10_000),
  adaptiveSizing: typed("boolean"),
  lingerMs: number(0, 60_000),
  queueLimit: integer(1, 100_000_000),
  queueMaxBytes: integer(1, Number.MAX_SAFE_INTEGER),
  queueKeyShare: number(0.001, 1),
  maxAttempts: integer(1, 100),
  retryBudgetRatio: number(0, 1),
  retryBackoffMs: number(0, maxDelayMs),
  retryBackoffMaxMs: number(0, maxDelayMs),
  latencyObjectiveMs: number(0.001, maxDelayMs),
  batchTimeoutMs: number(1, maxDelayMs),
  priorityAgeingMs: number(1, maxDelayMs),
  dedupeWindowMs: number(0, maxDelayMs),
};

export const rules: Readonly<Record<keyof BatchProcessorOptions<never, never>, Rule>> = {
  ...tunableRules,
  controller: having("next", "record"),
  sizeOf: typed("function"),
  idempotent: typed("boolean"),
  classify: typed("function"),
  matches: typed("function"),
  load: typed("function"),
  historyLimit: integer(1, 100_000),
  now: typed("function"),
  random: typed("function"),
  timers: having("set", "clear"),
};

/** @throws BatcherOptionError */
export function resolveOptions<T, R>(options: BatchProcessorOptions<T, R>): Settings<T, R> {
  checkOptions(options, rules);
  return {
    tunables: mergeTunables(defaults, options),
    controller: options.controller,
    sizeOf: options.sizeOf,
    idempotent: options.idempotent ?? false,
    classify: options.classify ?? classifyError,
    matches: options.matches,
    load: options.load,
    historyLimit: options.historyLimit ?? defaultHistoryLimit,
    now: options.now === undefined ? () => performance.now() : monotonic(options.now),
    random: options.random ?? Math.random,
    timers: options.timers ?? systemTimers,
  };
}

/** @throws BatcherOptionError */
export function tuneOptions(current: Tunables, changes: TunableOptions): Tunables {
  checkOptions(changes, tunableRules);
  return mergeTunables(current, changes);
}

/** @throws BatcherOptionError */
export function checkFunction(name: string, value: unknown): void {
  hold(name, value, typed("function"));
}

/** @throws BatcherOptionError if it is no object or has a name that is not known. */
export function checkKnown(options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new BatcherOptionError("options", "an object", options);
  const stranger = Object.keys(options).find((name) => !names.includes(name));
  if (stranger !== undefined)
    throw new BatcherOptionError(stranger, `one of ${names.join(", ")}`, "an unknown option");
}

/** @throws BatcherOptionError */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new BatcherOptionError("signal", "an AbortSignal", signal);
}

/** @throws BatcherOptionError */
export function checkInteger(name: string, value: unknown, least: number, most: number): void {
  hold(name, value, integer(least, most));
}

/** @throws BatcherOptionError */
export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  hold(name, value, number(least, most));
}

function mergeTunables(base: Tunables, changes: TunableOptions): Tunables {
  const given = Object.entries(changes).filter(
    ([name, value]) => Object.hasOwn(tunableRules, name) && value !== undefined,
  );
  return { ...base, ...(Object.fromEntries(given) as Partial<Tunables>) };
}

function checkOptions(options: unknown, table: Readonly<Record<string, Rule>>): void {
  checkKnown(options, Object.keys(table));
  for (const [name, value] of Object.entries(options as object)) {
    const rule = table[name];
    if (value !== undefined && rule !== undefined) hold(name, value, rule);
  }
}

function hold(name: string, value: unknown, rule: Rule): void {
  if (!rule.accepts(value)) throw new BatcherOptionError(name, rule.expected, value);
}

function integer(least: number, most: number): Rule {
  return {
    expected: `an integer from ${least} to ${most}`,
    accepts: (value) => Number.isInteger(value) && within(value as number, least, most),
  };
}

function number(least: number, most: number): Rule {
  return {
    expected: `a number from ${least} to ${most}`,
    accepts: (value) => typeof value === "number" && within(value, least, most),
  };
}

function within(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

function typed(type: "boolean" | "function"): Rule {
  return { expected: `a ${type}`, accepts: (value) => typeof value === type };
}

function having(...methods: readonly string[]): Rule {
  return {
    expected: `an object with ${methods.join("() and ")}()`,
    accepts(value) {
      const holder = Object(value) as Readonly<Record<string, unknown>>;
      return methods.every((method) => typeof holder[method] === "function");
    },
  };
}
