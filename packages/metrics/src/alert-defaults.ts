import { burnRateRules } from "./alert-burn-rate.ts";
import {
  above,
  below,
  counter,
  gauge,
  histogram,
  increase,
  ratio,
  share,
  slope,
  value,
} from "./alert-expressions.ts";
import { defineRule } from "./alert-rule.ts";
import type { AlertRule, RuleDefinition } from "./alert-rule.ts";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";

const MINUTE_MS = 60_000;
const MIB = 1024 * 1024;

/** What most rules have in common; each uses what it needs. */
interface Tuning {
  readonly threshold: number;
  readonly clear: number;
  readonly windowMs: number;
  readonly minSamples: number;
}

type Definition = Omit<RuleDefinition, "name" | "runbook">;

interface Default {
  readonly tuning: Tuning;
  readonly define: (tuning: Tuning) => Definition;
}

const cacheHitRatioLow: Default = {
  tuning: { threshold: 0.8, clear: 0.85, windowMs: 10 * MINUTE_MS, minSamples: 100 },
  define: ({ threshold, clear, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "Cache {cache} answers only {value} of its reads",
    description:
      "Reads that could be hits are computed again. Look for a ttl that is too short, tags that are invalidated too widely, or too little room.",
    by: ["cache"],
    forMs: 5 * MINUTE_MS,
    when: below(
      ratio(
        counter("cache_hits_total"),
        [counter("cache_hits_total"), counter("cache_misses_total")],
        { windowMs, minSamples },
      ),
      threshold,
      { clearAbove: clear },
    ),
  }),
};

const cacheStaleIncident: Default = {
  tuning: { threshold: 0, clear: 0, windowMs: 15 * MINUTE_MS, minSamples: 2 },
  define: ({ threshold, windowMs, minSamples }) => ({
    severity: "critical",
    summary: "Cache {cache} served values that were no longer true",
    description:
      "Sampled hits differed when they were computed again: an event does not invalidate what it changed. Bypass the cache until the tag is found.",
    by: ["cache"],
    when: above(
      increase(counter("cache_verify_mismatches_total"), { windowMs, minSamples }),
      threshold,
    ),
  }),
};

const connectionReuseLow: Default = {
  tuning: { threshold: 0.9, clear: 0.93, windowMs: 10 * MINUTE_MS, minSamples: 100 },
  define: ({ threshold, clear, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "Only {value} of the requests to {upstream} reuse a connection",
    description:
      "Connections are opened where they could be reused. Look at what closes them, at the upstream's keep-alive time, and at bodies that nobody reads.",
    by: ["upstream"],
    forMs: 5 * MINUTE_MS,
    when: below(
      ratio(counter("http_pool_requests_reused_total"), counter("http_pool_requests_total"), {
        windowMs,
        minSamples,
      }),
      threshold,
      { clearAbove: clear },
    ),
  }),
};

/** More than 1 % of the calls take longer than the objective exactly when p99 is above it; no bucket has to be interpolated. */
const fastTierSlow: Default = {
  tuning: { threshold: 0.01, clear: 0.005, windowMs: 5 * MINUTE_MS, minSamples: 100 },
  define: ({ threshold, clear, windowMs, minSamples }) => ({
    severity: "critical",
    summary: "p99 of the fast tools is above their objective",
    description:
      "{value} of the calls of the tier took longer than its objective of 100 ms. Look at the tools of the tier, then at the event loop.",
    forMs: 2 * MINUTE_MS,
    when: above(
      ratio(
        counter("mcp_server_tool_objective_misses_total", { tier: "fast" }),
        counter("mcp_server_tool_calls_total", { tier: "fast" }),
        { windowMs, minSamples },
      ),
      threshold,
      { clearBelow: clear },
    ),
  }),
};

const memoryRising: Default = {
  tuning: { threshold: MIB / 60, clear: MIB / 120, windowMs: 30 * MINUTE_MS, minSamples: 20 },
  define: ({ threshold, clear, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "Resident memory rises by {value} bytes a second",
    description:
      "It has risen for longer than a start explains. Compare heap, external memory and what the caches, queues and streams say they hold.",
    forMs: 15 * MINUTE_MS,
    when: above(
      slope(gauge("process_resident_memory_bytes"), { windowMs, minSamples }),
      threshold,
      { clearBelow: clear },
    ),
  }),
};

const memoryHigh: Default = {
  tuning: { threshold: 0.85, clear: 0.75, windowMs: MINUTE_MS, minSamples: 0 },
  define: ({ threshold, clear }) => ({
    severity: "critical",
    summary: "The process uses {value} of its memory limit",
    description: "New streams are about to be refused. Shed load, or raise the limit.",
    forMs: 2 * MINUTE_MS,
    when: above(value(gauge("stream_guard_process_memory_ratio"), "max"), threshold, {
      clearBelow: clear,
    }),
  }),
};

const streamMemoryHigh: Default = {
  tuning: { threshold: 0.9, clear: 0.8, windowMs: MINUTE_MS, minSamples: 0 },
  define: ({ threshold, clear }) => ({
    severity: "warning",
    summary: "Streams hold {value} of what they may",
    description: "Clients do not read as fast as they are written to. Look for stalled sessions.",
    forMs: 2 * MINUTE_MS,
    when: above(
      share(gauge("stream_guard_memory_used_bytes"), gauge("stream_guard_memory_limit_bytes")),
      threshold,
      { clearBelow: clear },
    ),
  }),
};

const batchEfficiencyLow: Default = {
  tuning: { threshold: 2, clear: 3, windowMs: 10 * MINUTE_MS, minSamples: 100 },
  define: ({ threshold, clear, windowMs, minSamples }) => ({
    severity: "info",
    summary: "A batch has only {value} items",
    description:
      "Batches hardly pay. Look at the linger time and the size limit; where items come one by one, call directly.",
    forMs: 10 * MINUTE_MS,
    when: below(
      ratio(counter("batcher_settled_items_total"), counter("batcher_batches_total"), {
        windowMs,
        minSamples,
      }),
      threshold,
      { clearAbove: clear },
    ),
  }),
};

const poolQueueTimeouts: Default = {
  tuning: { threshold: 0, clear: 0, windowMs: 5 * MINUTE_MS, minSamples: 2 },
  define: ({ threshold, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "{value} requests to {upstream} waited in vain for a connection",
    description:
      "All connections were busy for longer than callers wait. The upstream is slow, or the pool too small for it.",
    by: ["upstream"],
    when: above(
      increase(counter("http_pool_queue_timeouts_total"), { windowMs, minSamples }),
      threshold,
    ),
  }),
};

const permitTimeouts: Default = {
  tuning: { threshold: 0, clear: 0, windowMs: 5 * MINUTE_MS, minSamples: 2 },
  define: ({ threshold, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "{value} callers waited in vain for a permit of {pool}",
    description:
      "Permits are held for longer than callers wait. Look at the hold times of the pool.",
    by: ["pool"],
    when: above(
      increase(counter("stream_guard_pool_rejected_total", { reason: "timeout" }), {
        windowMs,
        minSamples,
      }),
      threshold,
    ),
  }),
};

const upstreamEjected: Default = {
  tuning: { threshold: 0, clear: 0, windowMs: 10 * MINUTE_MS, minSamples: 2 },
  define: ({ threshold, windowMs, minSamples }) => ({
    severity: "warning",
    summary: "{upstream} was left out {value} times",
    description: "It failed more often than its peers. Look at the upstream.",
    by: ["upstream"],
    when: above(
      increase(counter("http_pool_group_ejections_total"), { windowMs, minSamples }),
      threshold,
    ),
  }),
};

export type DefaultRuleName =
  | "CacheHitRatioLow"
  | "CacheStaleIncident"
  | "ConnectionReuseLow"
  | "FastTierSlow"
  | "MemoryRising"
  | "MemoryHigh"
  | "StreamMemoryHigh"
  | "BatchEfficiencyLow"
  | "PoolQueueTimeouts"
  | "PermitTimeouts"
  | "UpstreamEjected";

const defaults: Readonly<Record<DefaultRuleName, Default>> = {
  CacheHitRatioLow: cacheHitRatioLow,
  CacheStaleIncident: cacheStaleIncident,
  ConnectionReuseLow: connectionReuseLow,
  FastTierSlow: fastTierSlow,
  MemoryRising: memoryRising,
  MemoryHigh: memoryHigh,
  StreamMemoryHigh: streamMemoryHigh,
  BatchEfficiencyLow: batchEfficiencyLow,
  PoolQueueTimeouts: poolQueueTimeouts,
  PermitTimeouts: permitTimeouts,
  UpstreamEjected: upstreamEjected,
};

export type RuleOverride = Partial<Tuning & Omit<RuleDefinition, "name" | "when" | "by">>;

export interface DefaultRulesOptions {
  /** Changes of a rule, or false to leave it out. */
  readonly rules?: Readonly<Partial<Record<DefaultRuleName, RuleOverride | false>>>;
  /** Part of the tool calls that is to end without error, for `ToolErrorsBudgetBurn…`; false leaves both out. Default 0.99. */
  readonly toolCallObjective?: number | false;
  /** What the name of a rule is appended to. */
  readonly runbookBase?: string;
}

const RUNBOOKS = "https://github.com/mcp-accel/mcp-accel/blob/main/packages/metrics/README.md#";

/**
 * Rules for the five packages. One whose package is not collected has no data, and says so.
 * @throws InvalidOptionError for an unknown name, InvalidRuleError for an override that makes no sense
 */
export function defaultRules(options: DefaultRulesOptions = {}): readonly AlertRule[] {
  requireObject("options", options);
  const { rules = {}, toolCallObjective = 0.99, runbookBase = RUNBOOKS } = options;
  for (const name of Object.keys(rules)) {
    if (!Object.hasOwn(defaults, name)) {
      throw new InvalidOptionError("rules", `names of ${Object.keys(defaults).join(", ")}`, name);
    }
  }
  const runbook = (name: string): string => `${runbookBase}${name.toLowerCase()}`;
  const tuned = Object.entries(defaults).flatMap(([name, { tuning, define }]) => {
    const override = rules[name as DefaultRuleName] ?? {};
    if (override === false) return [];
    const { threshold, clear, windowMs, minSamples, ...rest } = override;
    const given = Object.entries({ threshold, clear, windowMs, minSamples }).filter(
      ([, number]) => number !== undefined,
    );
    const definition = define({ ...tuning, ...Object.fromEntries(given) });
    return [defineRule({ ...definition, runbook: runbook(name), ...rest, name })];
  });
  if (toolCallObjective === false) return tuned;
  return [...tuned, ...toolErrorRules(toolCallObjective, runbook("ToolErrorsBudgetBurn"))];
}

function toolErrorRules(objective: number, runbook: string): readonly AlertRule[] {
  const family = "mcp_server_operation_duration_seconds";
  const call = { mcp_method_name: "tools/call" };
  return burnRateRules({
    name: "ToolErrors",
    subject: "tool calls without error",
    objective,
    bad: histogram(family, { ...call, error_type: { noneOf: ["", "cancelled"] } }),
    total: histogram(family, call),
    minSamples: 50,
    runbook,
  });
}
