// Counts the instructions of every package's hot paths and fails when one takes more than its baseline allows.
//   gate.ts [PACKAGE…]            compare
//   gate.ts [PACKAGE…] --update   write the baseline of this kind of machine
//   gate.ts [PACKAGE…] --plant    plant a slowdown of 5 % into each package: each must be noticed
//   gate.ts [PACKAGE…] --repeat N compare N times: none may be noticed
import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { machineKey, readBaseline, writeBaseline } from "./baseline.ts";
import { countInstructions } from "./instructions.ts";
import type { Counts } from "./instructions.ts";
import { PLANTS } from "./plants.ts";
import { compare, TOLERANCE } from "./verdict.ts";
import type { Comparison } from "./verdict.ts";

const PLANTED = 0.05;
const CALIBRATION_SPINS = 40;
const root = join(import.meta.dirname, "../..");

const { values, positionals } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    plant: { type: "boolean", default: false },
    repeat: { type: "string", default: "1" },
    update: { type: "boolean", default: false },
  },
  allowPositionals: true,
});
const all = globSync("packages/*/bench/gate.ts", { cwd: root }).map((file) =>
  basename(dirname(dirname(file))),
);
const names = positionals.length === 0 ? all.toSorted() : positionals;
const unknown = names.find((name) => !all.includes(name));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${all.toSorted().join(", ")}`);

const key = machineKey();
if (key === undefined) skip();
else if (values.plant) await plantAll();
else if (values.update) await update(key);
else await check(key);

function skip(): void {
  console.log("SKIPPED the instruction gate: valgrind is not installed");
  if (process.env["REQUIRE_SERVICES"] === "1") process.exitCode = 1;
}

async function check(machine: string): Promise<void> {
  const baseline = readBaseline(machine);
  const found: Comparison[] = [];
  for (let round = 0; round < Number(values.repeat); round += 1)
    for (const name of names)
      found.push(...compare(name, await countInstructions(root, name), baseline[name]));
  const slower = found.filter(({ verdict }) => verdict === "slower").length;
  const missing = found.some(({ verdict }) => verdict === "no baseline");
  print(found);
  if (missing) console.log(`No baseline for ${machine} yet: write one with --update.`);
  console.log(
    `${found.length} counts, ${slower} above the baseline by more than ${100 * TOLERANCE} %`,
  );
  process.exitCode = slower === 0 ? 0 : 1;
}

async function update(machine: string): Promise<void> {
  const baseline: Record<string, Counts> = { ...readBaseline(machine) };
  for (const name of names) baseline[name] = await countInstructions(root, name);
  writeBaseline(machine, baseline);
  print(names.flatMap((name) => compare(name, baseline[name] ?? {}, baseline[name])));
}

async function plantAll(): Promise<void> {
  const found: Comparison[] = [];
  for (const name of names) found.push(...(await plantOne(name)));
  print(found);
  const missed = found.filter(({ verdict }) => verdict !== "slower").map((row) => row.package);
  console.log(missed.length === 0 ? "each was noticed" : `not noticed: ${missed.join(", ")}`);
  process.exitCode = missed.length === 0 ? 0 : 1;
}

/** Of a slowdown whose size is set by what one turn of its loop costs there. */
async function plantOne(name: string): Promise<readonly Comparison[]> {
  const operation = PLANTS[name]?.operation ?? "";
  const of = (counts: Counts): number => counts[operation] ?? Number.NaN;
  const clean = await countInstructions(root, name);
  const slow = of(await countInstructions(root, name, CALIBRATION_SPINS));
  const perSpin = (slow - of(clean)) / CALIBRATION_SPINS;
  const spins = Math.max(1, Math.round((PLANTED * of(clean)) / perSpin));
  const counts = { [operation]: of(await countInstructions(root, name, spins)) };
  return compare(name, counts, clean);
}

function print(rows: readonly Comparison[]): void {
  if (values.json) {
    console.log(JSON.stringify({ key, rows }));
    return;
  }
  console.log(key);
  console.table(
    rows.map((row) => ({
      ...row,
      instructions: Math.round(row.instructions),
      baseline: row.baseline ?? "",
      change: row.change === undefined ? "" : `${(100 * row.change).toFixed(2)} %`,
    })),
  );
}
