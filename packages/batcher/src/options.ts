import type { BatchController } from "./controller.ts";
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
  readonly maxAttempts?: number;
  readonly retryBudgetRatio?: number;
  readonly retryBackoffMs?: number;
  readonly retryBackoffMaxMs?: number;
  readonly latencyObjectiveMs?: number;
  readonly batchTimeoutMs?: number;
  readonly priorityAgeingMs?: number;
}

export interface BatchProcessorOptions<T> extends TunableOptions {
  readonly controller?: BatchController;
  readonly sizeOf?: (item: T) => number;
  readonly idempotent?: boolean;
  readonly classify?: (error: unknown) => Verdict;
  readonly historyLimit?: number;
  readonly now?: () => number;
  readonly random?: () => number;
  readonly timers?: Timers;
}

export type Tunables = Required<Omit<TunableOptions, "latencyObjectiveMs">> & {
  readonly latencyObjectiveMs: number | undefined;
};

export interface Settings<T> {
  readonly tunables: Tunables;
  readonly controller: BatchController | undefined;
  readonly sizeOf: ((item: T) => number) | undefined;
  readonly idempotent: boolean;
  readonly classify: (error: unknown) => Verdict;
  readonly historyLimit: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly timers: Timers;
}

const defaults: Tunables = {
  maxBatchSize: 100,
  maxConcurrentBatches: 4,
  adaptiveSizing: true,
  lingerMs: 0,
  queueLimit: 10_000,
  queueMaxBytes: 64 * 1024 * 1024,
  maxAttempts: 3,
  retryBudgetRatio: 0.1,
  retryBackoffMs: 100,
  retryBackoffMaxMs: 5_000,
  latencyObjectiveMs: undefined,
  batchTimeoutMs: 30_000,
  priorityAgeingMs: 1_000,
};

type Check = (name: string, value: unknown) => void;

const tunableChecks: Readonly<Record<keyof Tunables, Check>> = {
  maxBatchSize: integer(1, 1_000_000),
  maxConcurrentBatches: integer(1, 10_000),
  adaptiveSizing: typed("boolean"),
  lingerMs: number(0, 60_000),
  queueLimit: integer(1, 100_000_000),
  queueMaxBytes: integer(1, Number.MAX_SAFE_INTEGER),
  maxAttempts: integer(1, 100),
  retryBudgetRatio: number(0, 1),
  retryBackoffMs: number(0, maxDelayMs),
  retryBackoffMaxMs: number(0, maxDelayMs),
  latencyObjectiveMs: number(Number.MIN_VALUE, maxDelayMs),
  batchTimeoutMs: number(1, maxDelayMs),
  priorityAgeingMs: number(1, maxDelayMs),
};

const checks: Readonly<Record<string, Check>> = {
  ...tunableChecks,
  controller: having("next", "record"),
  sizeOf: typed("function"),
  idempotent: typed("boolean"),
  classify: typed("function"),
  historyLimit: integer(1, 100_000),
  now: typed("function"),
  random: typed("function"),
  timers: having("set", "clear"),
};

/** @throws BatcherOptionError */
export function resolveOptions<T>(options: BatchProcessorOptions<T>): Settings<T> {
  checkOptions(options, checks);
  return {
    tunables: mergeTunables(defaults, options),
    controller: options.controller,
    sizeOf: options.sizeOf,
    idempotent: options.idempotent ?? false,
    classify: options.classify ?? classifyError,
    historyLimit: options.historyLimit ?? 256,
    now: options.now ?? (() => performance.now()),
    random: options.random ?? Math.random,
    timers: options.timers ?? systemTimers,
  };
}

/** @throws BatcherOptionError */
export function tuneOptions(current: Tunables, changes: TunableOptions): Tunables {
  checkOptions(changes, tunableChecks);
  return mergeTunables(current, changes);
}

/** @throws BatcherOptionError */
export function checkFunction(name: string, value: unknown): void {
  typed("function")(name, value);
}

/** @throws BatcherOptionError */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new BatcherOptionError("signal", "an AbortSignal", signal);
}

/** @throws BatcherOptionError */
export function checkInteger(name: string, value: unknown, least: number, most: number): void {
  integer(least, most)(name, value);
}

/** @throws BatcherOptionError */
export function checkNumber(name: string, value: unknown, least: number, most: number): void {
  number(least, most)(name, value);
}

function mergeTunables(base: Tunables, changes: TunableOptions): Tunables {
  const known = Object.keys(tunableChecks);
  const given = Object.entries(changes).filter(
    ([name, value]) => known.includes(name) && value !== undefined,
  );
  return { ...base, ...(Object.fromEntries(given) as Partial<Tunables>) };
}

function checkOptions(options: unknown, table: Readonly<Record<string, Check>>): void {
  if (typeof options !== "object" || options === null)
    throw new BatcherOptionError("options", "an object", options);
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(table, name) ? table[name] : undefined;
    if (check === undefined)
      throw new BatcherOptionError(
        name,
        `one of ${Object.keys(table).join(", ")}`,
        "an unknown option",
      );
    if (value !== undefined) check(name, value);
  }
}

function integer(least: number, most: number): Check {
  return (name, value) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
      throw new BatcherOptionError(name, `an integer from ${least} to ${most}`, value);
  };
}

function number(least: number, most: number): Check {
  return (name, value) => {
    if (typeof value !== "number" || !(value >= least && value <= most))
      throw new BatcherOptionError(name, `a number from ${least} to ${most}`, value);
  };
}

function typed(type: "boolean" | "function"): Check {
  return (name, value) => {
    if (typeof value !== type) throw new BatcherOptionError(name, `a ${type}`, value);
  };
}

function having(...methods: readonly string[]): Check {
  return (name, value) => {
    const holder = Object(value) as Readonly<Record<string, unknown>>;
    if (methods.some((method) => typeof holder[method] !== "function"))
      throw new BatcherOptionError(name, `an object with ${methods.join("() and ")}()`, value);
  };
}
