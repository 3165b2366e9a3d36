import type { UpstreamGroupStats, UpstreamStats } from "./group-stats.ts";
import type { MetricFamily, MetricSample, ScalarFamily } from "./metric-families.ts";
import { poolFamilies } from "./pool-families.ts";
import { sumStats } from "./pool-stats.ts";

const STATES = ["usable", "ejected", "unhealthy", "open", "half-open", "draining"] as const;

/** `labelOf` bounds the values of the label `upstream`. */
export function groupFamilies(
  read: () => UpstreamGroupStats,
  labelOf: (upstream: string) => string,
): readonly MetricFamily[] {
  const whole = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: (stats: UpstreamGroupStats) => number,
  ): ScalarFamily => {
    const suffix = type === "counter" ? "_total" : "";
    const full = `http_pool_group_${name}${suffix}`;
    return { type, name: full, help, unit: "", labels: [], read: () => [{ value: value(read()) }] };
  };
  const each = (
    name: string,
    help: string,
    value: (stats: UpstreamStats) => number,
  ): ScalarFamily => ({
    type: "counter",
    name: `http_pool_group_${name}_total`,
    help,
    unit: "",
    labels: ["upstream"],
    read: () =>
      Array.from(byLabel(read(), labelOf), ([upstream, all]) => {
        return { value: all.reduce((sum, stats) => sum + value(stats), 0), labels: { upstream } };
      }),
  });
  return [
    ...poolFamilies(
      () =>
        Array.from(byLabel(read(), labelOf), ([upstream, all]) => {
          return { upstream, stats: sumStats(all) };
        }),
      labelOf,
    ),
    states(read),
    whole("gauge", "panic", "1 while too few upstreams are fit", ({ panic }) => Number(panic)),
    whole("gauge", "sessions", "Sessions with a known upstream", ({ sessions }) => sessions),
    whole("gauge", "retry_budget", "Retries allowed now", ({ retryBudget }) => retryBudget),
    whole("counter", "calls", "Requests of callers", ({ calls }) => calls),
    whole("counter", "retries", "Requests sent once more", ({ retries }) => retries),
    whole("counter", "hedges", "Second upstreams asked", ({ hedges }) => hedges),
    whole("counter", "hedges_won", "Hedges answered first", ({ hedgesWon }) => hedgesWon),
    whole("counter", "over_budget", "Retries and hedges refused", ({ overBudget }) => overBudget),
    whole("counter", "unroutable", "Requests for no upstream", ({ unroutable }) => unroutable),
    whole("counter", "panics", "Times that too few were fit", ({ panics }) => panics),
    each("failures", "Failed attempts", ({ failures }) => failures),
    each("ejections", "Times an upstream was left out", ({ ejections }) => ejections),
    each("circuit_opens", "Times a circuit breaker opened", ({ circuitOpens }) => circuitOpens),
  ];
}

function byLabel(
  { upstreams }: UpstreamGroupStats,
  labelOf: (upstream: string) => string,
): Map<string, UpstreamStats[]> {
  return Map.groupBy(Object.values(upstreamsOf(upstreams)), ({ upstream }) => labelOf(upstream));
}

function upstreamsOf(
  upstreams: UpstreamGroupStats["upstreams"],
): (UpstreamStats & { readonly upstream: string })[] {
  return Object.entries(upstreams).map(([upstream, stats]) => ({ ...stats, upstream }));
}

function states(read: () => UpstreamGroupStats): ScalarFamily {
  const sample = (state: string): MetricSample => {
    const matching = Object.values(read().upstreams).filter((stats) => stats.state === state);
    return { value: matching.length, labels: { state } };
  };
  return {
    type: "gauge",
    name: "http_pool_group_upstreams",
    help: "Upstreams, by state",
    unit: "",
    labels: ["state"],
    read: () => STATES.map(sample),
  };
}
