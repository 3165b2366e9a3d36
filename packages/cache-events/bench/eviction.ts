// Which share of the reads hits, against LRU, and how much could be had at all?
// `--traces <folder>` adds recorded traces, `--json` prints JSON.
import { parseArgs } from "node:util";
import { optimumPercent } from "./eviction/belady.ts";
import { contenders } from "./eviction/contenders.ts";
import { hitPercent } from "./eviction/policy.ts";
import { traceWorkloads } from "./eviction/traces.ts";
import { generatedWorkloads } from "./eviction/workloads.ts";
import type { Workload } from "./eviction/workloads.ts";

const { values } = parseArgs({
  options: { traces: { type: "string" }, json: { type: "boolean", default: false } },
});

const traces = values.traces === undefined ? [] : await traceWorkloads(values.traces);
const rows = [...generatedWorkloads(), ...traces].map(measure);
if (values.json) console.log(JSON.stringify({ node: process.version, rows }));
else print();

function measure({ name, keys, size }: Workload): Record<string, number | string> {
  const [baseline, ...others] = contenders;
  const lru = hitPercent(baseline!.create(size), keys);
  const row: Record<string, number | string> = { workload: name, [baseline!.name]: round(lru) };
  for (const { name: contender, create } of others) {
    row[contender] = round(hitPercent(create(size), keys) - lru);
  }
  row["optimum"] = round(optimumPercent(keys, size) - lru);
  return row;
}

function print(): void {
  console.log(
    "Hits in percent of the reads with lru-cache; for the others, points above or below.",
  );
  console.table(rows);
  if (values.traces === undefined) console.log("Only generated mixes: no --traces were given.");
}

function round(percent: number): number {
  return Math.round(percent * 10) / 10;
}
