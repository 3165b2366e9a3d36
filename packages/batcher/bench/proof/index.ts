// How near does the adaptive controller come to the best static setting, in virtual time? `--quick` for a shorter form, `--json`
// for one line of JSON, `--train`, `--held-out` or `--unseen` for one set of models.
import { parseArgs } from "node:util";
import { lingerCost } from "./idle.ts";
import type { LingerCost } from "./idle.ts";
import { prove } from "./prove.ts";
import type { ModelResult, SetResult, ShiftResult } from "./prove.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    train: { type: "boolean", default: false },
    "held-out": { type: "boolean", default: false },
    unseen: { type: "boolean", default: false },
  },
});
const all = ["train", "held-out", "unseen"] as const;
const named = all.filter((set) => values[set]);
const sets = named.length === 0 ? all : named;
const scale = values.quick
  ? { seeds: 2, durationMs: 300_000, gridMs: 8_000 }
  : { seeds: 20, durationMs: 600_000, gridMs: 30_000 };
const results: Record<string, SetResult> = {};
for (const set of sets) results[set] = prove(set, { ...scale, onProgress });
const linger: LingerCost[] = [];
for (const everyMs of [100, 10, 2])
  for (const lingerMs of [0, 20]) linger.push(await lingerCost(lingerMs, everyMs, 2_000));
if (values.json) console.log(JSON.stringify({ node: process.version, ...scale, results, linger }));
else print();

function onProgress(done: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${done}`);
  else process.stderr.write(`${done}\n`);
}

function print(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\u001B[K");
  console.log(
    `${scale.seeds} seeds, ${scale.durationMs / 60_000} min of busy time from a cold start, up to 1000 x 32`,
  );
  for (const [set, { models, overall, shifts }] of Object.entries(results)) {
    console.log(`\n${set}: share of the best static setting, worst / mean over the seeds`);
    const names = {
      fixed: overall.fixed,
      constant: overall.constant,
      aimd: overall.aimd,
      adaptive: overall.adaptive,
    };
    console.table(
      Object.fromEntries([
        ...models.map((model) => [model.model, row(model)]),
        ["all", row({ ...overall, ...names })],
      ]),
    );
    console.log(`${set}: after a shift, time to 90 % of the new best`);
    console.table(Object.fromEntries(shifts.map((result) => [result.shift, shiftRow(result)])));
  }
  console.log("\nwhat lingerMs adds at a light load, calls of 5 ms (virtual time: waiting alone)");
  console.table(linger);
}

type Row = Pick<
  ModelResult,
  "fixed" | "constant" | "aimd" | "adaptive" | "adaptiveSettled" | "adaptiveOfFixed"
> &
  Partial<ModelResult>;

function row({
  best,
  fixed,
  constant,
  aimd,
  adaptive,
  adaptiveSettled,
  adaptiveOfFixed,
  adaptiveLate,
}: Row) {
  return {
    best: best === undefined ? "" : `${best.size} x ${best.concurrency}`,
    "fixed 100 x 4": pair(fixed),
    "180 x 24": pair(constant),
    AIMD: pair(aimd),
    adaptive: pair(adaptive),
    "second half": pair(adaptiveSettled),
    "against fixed": pair(adaptiveOfFixed),
    "late calls": adaptiveLate === undefined ? "" : `${(adaptiveLate * 100).toFixed(1)} %`,
  };
}

function shiftRow({ medianSeconds, worstSeconds, worstBatches, inTime }: ShiftResult) {
  return {
    "median s": seconds(medianSeconds),
    "worst s": seconds(worstSeconds),
    "worst batches": worstBatches ?? "never",
    "within 30 s or 200 batches": `${Math.round(inTime * 100)} %`,
  };
}

function pair({ worst, mean }: { readonly worst: number; readonly mean: number }): string {
  return `${worst.toFixed(3)} / ${mean.toFixed(3)}`;
}

function seconds(value: number | null): string {
  return value === null ? "never" : value.toFixed(1);
}
