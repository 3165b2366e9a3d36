import { checkOptions, checkText, having, integer } from "./checks.ts";
import type { Check } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";
import { maxDelayMs } from "./timers.ts";
import type { Timers } from "./timers.ts";

export interface SqliteStoreOptions {
  /** A file of its own, on a local disk; created when it is missing. */
  readonly path: string;
  readonly maxEntries?: number;
  /** Of keys and values. */
  readonly maxBytes?: number;
  readonly maxValueBytes?: number;
  readonly maxFences?: number;
  readonly busyTimeoutMs?: number;
  readonly timers?: Timers;
}

export type SqliteSettings = Required<SqliteStoreOptions>;

/** Keep the process alive: it waits for a lock with a write in hand. */
const holdingTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

const checks: Readonly<Record<keyof SqliteStoreOptions, Check>> = {
  path: checkPath,
  maxEntries: integer(1, 2 ** 24),
  maxBytes: integer(1, Number.MAX_SAFE_INTEGER),
  maxValueBytes: integer(1, 2 ** 28),
  maxFences: integer(10_000, 2 ** 24),
  busyTimeoutMs: integer(0, maxDelayMs),
  timers: having("an object", "set", "clear"),
};

/** @throws CacheOptionError */
export function resolveSqliteOptions(options: SqliteStoreOptions): SqliteSettings {
  checkOptions(options, checks);
  checkPath("path", options.path);
  return {
    path: options.path,
    maxEntries: options.maxEntries ?? 100_000,
    maxBytes: options.maxBytes ?? 256 * 1024 * 1024,
    maxValueBytes: options.maxValueBytes ?? 1024 * 1024,
    maxFences: options.maxFences ?? 100_000,
    busyTimeoutMs: options.busyTimeoutMs ?? 1_000,
    timers: options.timers ?? holdingTimers,
  };
}

function checkPath(name: string, value: unknown): void {
  checkText(name, value);
  if (value === ":memory:")
    throw new CacheOptionError(name, "the path of a file, which processes can share", value);
}
