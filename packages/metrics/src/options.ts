import { InvalidOptionError } from "./errors.ts";

export interface TierOptions {
  /** Longest time a call of the tier should take. */
  readonly objectiveMs: number;
}

export interface MetricsOptions {
  /** Measure the process itself: event loop, garbage collection, memory, CPU, file descriptors. Default true. */
  readonly runtime?: boolean;
  /** Constant labels of every series. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Latency tiers of tools, added to or replacing `fast` 100 ms, `standard` 1,000 ms, `slow` 30,000 ms. */
  readonly tiers?: Readonly<Record<string, TierOptions>>;
  /** Most values a label may take before the rest becomes `_OTHER`. Default 200. */
  readonly maxLabelValues?: number;
  /** Monotonic clock in milliseconds. Default `performance.now`. */
  readonly now?: () => number;
}

export interface ResolvedOptions {
  readonly runtime: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly tiers: Readonly<Record<string, TierOptions>>;
  readonly maxLabelValues: number;
  readonly now: () => number;
}

const DEFAULT_TIERS = {
  fast: { objectiveMs: 100 },
  standard: { objectiveMs: 1_000 },
  slow: { objectiveMs: 30_000 },
};

const MAX_TIERS = 50;
const MAX_LABEL_VALUES = 10_000;
const MAX_CONSTANT_LABELS = 32;
const MAX_CONSTANT_LENGTH = 1_024;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const RESERVED_LABELS = new Set(["le", "quantile"]);

export function resolveOptions(options: MetricsOptions = {}): ResolvedOptions {
  requireObject("options", options);
  const { runtime = true, labels = {}, tiers = {}, maxLabelValues = 200 } = options;
  const { now = () => performance.now() } = options;
  if (typeof runtime !== "boolean") throw new InvalidOptionError("runtime", "a boolean", runtime);
  if (typeof now !== "function") throw new InvalidOptionError("now", "a function", now);
  if (
    !Number.isInteger(maxLabelValues) ||
    maxLabelValues < 1 ||
    maxLabelValues > MAX_LABEL_VALUES
  ) {
    const expected = `an integer from 1 to ${MAX_LABEL_VALUES}`;
    throw new InvalidOptionError("maxLabelValues", expected, maxLabelValues);
  }
  return {
    runtime,
    labels: constantLabels("labels", labels),
    tiers: resolveTiers(tiers),
    maxLabelValues,
    now,
  };
}

/** A copy of `labels`, checked: legal names, string values. */
export function constantLabels(
  option: string,
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  requireObject(option, labels);
  const count = Object.keys(labels).length;
  if (count > MAX_CONSTANT_LABELS) {
    throw new InvalidOptionError(option, `at most ${MAX_CONSTANT_LABELS} labels`, count);
  }
  for (const [name, value] of Object.entries(labels)) {
    if (!isLabelName(name)) {
      const expected = "label names of letters, digits and _, not reserved by Prometheus";
      throw new InvalidOptionError(option, expected, name);
    }
    if (typeof value !== "string") {
      throw new InvalidOptionError(`${option}.${name}`, "a string", value);
    }
    if (value.length > MAX_CONSTANT_LENGTH || !value.isWellFormed()) {
      const expected = `well-formed text of at most ${MAX_CONSTANT_LENGTH} characters`;
      throw new InvalidOptionError(`${option}.${name}`, expected, value);
    }
  }
  return { ...labels };
}

export function isLabelName(name: unknown): boolean {
  return typeof name === "string" && LABEL_NAME.test(name) && !RESERVED_LABELS.has(name);
}

function resolveTiers(
  tiers: Readonly<Record<string, TierOptions>>,
): Readonly<Record<string, TierOptions>> {
  requireObject("tiers", tiers);
  const resolved = { ...DEFAULT_TIERS, ...tiers };
  for (const [name, tier] of Object.entries(resolved)) {
    requireObject(`tiers.${name}`, tier);
    if (!Number.isFinite(tier.objectiveMs) || tier.objectiveMs <= 0) {
      const expected = "a finite number of milliseconds above 0";
      throw new InvalidOptionError(`tiers.${name}.objectiveMs`, expected, tier.objectiveMs);
    }
  }
  const count = Object.keys(resolved).length;
  if (count > MAX_TIERS) throw new InvalidOptionError("tiers", `at most ${MAX_TIERS}`, count);
  return resolved;
}

export function requireObject(option: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidOptionError(option, "an object", value);
  }
}
