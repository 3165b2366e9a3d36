// Which share of the reads hits, against LRU, and how much could be had at all?
// `--traces <folder>` adds recorded traces, `--json` prints JSON.
import { parseArgs } from "node:util";
import { bestFixedSetPercent, optimumPercent } from "./eviction/bounds.ts";
import { baseline, contenders } from "./eviction/contenders.ts";
import { hitPercent } from "./eviction/policy.ts";
import { traceWorkloads } from "./eviction/traces.ts";
import { generatedWorkloads } from "./eviction/workloads.ts";
import type { Workload } from "./eviction/workloads.ts";
import { report } from "./report.ts";

const { values } = parseArgs({
  options: { traces: { type: "string" }, json: { type: "boolean", default: false } },
});

const traces = values.traces === undefined ? [] : await traceWorkloads(values.traces);
report([
  {
    title: `Hits in percent of the reads with ${baseline.name}; for the others, points above or below`,
    rows: [...generatedWorkloads(), ...traces].map(measure),
    notes: [
      "optimum: Belady's, which knows the future. fixed set: the keys read most often, known beforehand and held throughout.",
      ...(values.traces === undefined ? ["Only generated mixes: no --traces were given."] : []),
    ],
  },
]);

function measure({ name, keys, size }: Workload): Record<string, number | string> {
  const lru = hitPercent(baseline.create(size), keys);
  const points = contenders.map(
    ({ name: contender, create }) =>
      [contender, round(hitPercent(create(size), keys) - lru)] as const,
  );
  return {
    workload: name,
    [baseline.name]: round(lru),
    ...Object.fromEntries(points),
    optimum: round(optimumPercent(keys, size) - lru),
    "fixed set": round(bestFixedSetPercent(keys, size) - lru),
  };
}

function round(percent: number): number {
  return Math.round(percent * 10) / 10;
}
