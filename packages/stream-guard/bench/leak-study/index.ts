// How often does the heap floor blame a clean run of 8 h, and how soon does it find a leak? In virtual time, against rivals that see the
// same runs. `--runs 400`, `--set held-out|tuning|limits` (the claim is made from the held-out worlds; limits
// are clean worlds beyond it), `--json` for one line of JSON.
import { parseArgs } from "node:util";
import { LEAKS, SETS, study } from "./study.ts";
import type { Cell, SetName } from "./study.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "400" },
    set: { type: "string", default: "held-out" },
    json: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
if (!Number.isSafeInteger(runs) || runs < 1 || runs > 100_000)
  throw new Error(`--runs: expected a whole number from 1 to 100000, received ${values.runs}`);
if (!(values.set in SETS))
  throw new Error(`--set: expected ${Object.keys(SETS).join(" or ")}, received ${values.set}`);

const leaks = values.set === "limits" ? [0] : LEAKS;
const all: Cell[] = [];
for (const cells of study(values.set as SetName, runs, leaks)) {
  all.push(...cells);
  const { environment, leakMbPerHour } = cells[0]!;
  process.stderr.write(`${environment}, ${leakMbPerHour} MB/h\n`);
}
if (values.json) console.log(JSON.stringify({ set: values.set, runs, cells: all }));
else print();

function print(): void {
  console.log(
    `${values.set} worlds, ${runs} runs a cell of 8 h each: share alarmed [95 % interval], median time`,
  );
  for (const rival of new Set(all.map((cell) => cell.rival))) {
    console.log(`\n${rival}`);
    const ofRival = all.filter((cell) => cell.rival === rival);
    const environments = [...new Set(ofRival.map(({ environment }) => environment))];
    console.table(
      Object.fromEntries(
        environments.map((environment) => [environment, row(ofRival, environment)]),
      ),
    );
  }
}

function row(cells: readonly Cell[], environment: string): Record<string, string> {
  const of = (leak: number): Cell | undefined =>
    cells.find((cell) => cell.environment === environment && cell.leakMbPerHour === leak);
  const columns = leaks.map((leak) => [leak === 0 ? "clean" : `${leak} MB/h`, text(of(leak))]);
  const soon = leaks.includes(5) ? { "5 MB/h within 4 h": percent(of(5), "within4h") } : {};
  return { ...Object.fromEntries(columns), ...soon };
}

function text(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  const { interval, medianHours } = cell;
  const bounds = `[${(interval.low * 100).toFixed(1)}, ${(interval.high * 100).toFixed(1)}]`;
  const time = medianHours === undefined ? "" : ` ${medianHours.toFixed(1)} h`;
  return `${percent(cell, "alarmed")} ${bounds}${time}`;
}

function percent(cell: Cell | undefined, what: "alarmed" | "within4h"): string {
  return cell === undefined ? "-" : `${((cell[what] / cell.runs) * 100).toFixed(1)} %`;
}
