// Counts the instructions of every package's hot paths and fails when one takes more than its baseline allows, or when the
// baseline of this kind of machine has other operations than there are.
//   gate.ts [PACKAGE…]            compare
//   gate.ts [PACKAGE…] --update   write the baseline of this kind of machine
//   gate.ts [PACKAGE…] --plant    plant a slowdown of 5 % into each package: each must be noticed
//   gate.ts [PACKAGE…] --repeat N compare N times: none may be noticed
// With --json it prints one line of JSON.
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { machineKey, readBaseline, writeBaseline } from "./baseline.ts";
import type { Baseline } from "./baseline.ts";
import { countInstructions } from "./instructions.ts";
import type { Counts } from "./instructions.ts";
import { readOptions } from "./options.ts";
import type { GateOptions } from "./options.ts";
import { PLANTS } from "./plants.ts";
import { compare, TOLERANCE } from "./verdict.ts";
import type { Comparison } from "./verdict.ts";

interface Outcome {
  readonly rows: readonly Comparison[];
  readonly passed: boolean;
  readonly summary: string;
}

const PLANTED = 0.05;
const CALIBRATION_SPINS = 40;
const PLANT_TRIES = 4;
const root = join(import.meta.dirname, "../..");

const options = optionsOrExit();
const machine = machineKey();
if (machine === undefined) skip();
else {
  const outcome = await run(machine, options);
  print(machine, outcome);
  process.exitCode = outcome.passed ? 0 : 1;
}

function optionsOrExit(): GateOptions {
  const packages = globSync("packages/*/bench/gate.ts", { cwd: root })
    .map((file) => basename(dirname(dirname(file))))
    .toSorted();
  try {
    return readOptions(process.argv.slice(2), packages);
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(2);
  }
}

function skip(): void {
  console.error("SKIPPED the instruction gate: valgrind is not installed");
  if (process.env["REQUIRE_SERVICES"] === "1") process.exitCode = 1;
}

function run(key: string, { mode, names, repeat }: GateOptions): Promise<Outcome> {
  if (mode === "plant") return plantAll(key, names);
  return mode === "update" ? update(key, names) : check(key, names, repeat);
}

async function check(key: string, names: readonly string[], repeat: number): Promise<Outcome> {
  const baseline = readBaseline(key);
  const rounds = Array.from({ length: repeat }, () => names).flat();
  const rows = await inParallel(rounds, async (name) =>
    compare(name, await countInstructions(root, name), baseline?.[name]),
  );
  if (baseline === undefined)
    return { rows, passed: true, summary: `No baseline for ${key} yet: write one with --update.` };
  const failed = rows.filter(({ verdict }) => verdict !== "ok" && verdict !== "faster").length;
  const summary = `${rows.length} counts, ${failed} above the baseline by more than ${100 * TOLERANCE} %, or not to be compared`;
  return { rows, passed: failed === 0, summary };
}

async function update(key: string, names: readonly string[]): Promise<Outcome> {
  const before = readBaseline(key);
  const baseline: Record<string, Counts> = { ...before };
  await inParallel(names, async (name) => {
    baseline[name] = await countInstructions(root, name);
    return [];
  });
  writeBaseline(key, baseline);
  const rows = names.flatMap((name) => compare(name, baseline[name] ?? {}, before?.[name]));
  return { rows, passed: true, summary: "written; the comparison is with what was there before" };
}

async function plantAll(key: string, names: readonly string[]): Promise<Outcome> {
  const baseline = readBaseline(key);
  const rows = await inParallel(names, (name) => plantOne(name, baseline));
  const missed = rows.filter(({ verdict }) => verdict !== "slower").map((row) => row.package);
  const summary = missed.length === 0 ? "each was noticed" : `not noticed: ${missed.join(", ")}`;
  return { rows, passed: missed.length === 0, summary };
}

/** Of a slowdown of at least 5 %; a turn of the loop is more than that where an operation takes few instructions. */
async function plantOne(
  name: string,
  baseline: Baseline | undefined,
): Promise<readonly Comparison[]> {
  const operation = PLANTS[name]?.operation ?? "";
  const count = async (spins: number): Promise<number> =>
    (await countInstructions(root, name, { only: operation, spins }))[operation] ?? Number.NaN;
  const clean = await count(0);
  let spins = CALIBRATION_SPINS;
  let planted = await count(spins);
  // Few turns cost less each than many do.
  for (let tries = 0; tries < PLANT_TRIES && !isClose(planted / clean - 1); tries += 1) {
    spins = Math.max(1, Math.ceil((spins * PLANTED * clean) / (planted - clean)));
    planted = await count(spins);
  }
  return compare(name, { [operation]: planted }, baseline?.[name] ?? { [operation]: clean }).filter(
    (row) => row.operation === operation,
  );
}

function isClose(slowdown: number): boolean {
  return slowdown >= PLANTED && slowdown < 1.5 * PLANTED;
}

/** The results in the order of the names; as many processes at a time as there are cores. */
async function inParallel(
  names: readonly string[],
  count: (name: string) => Promise<readonly Comparison[]>,
): Promise<readonly Comparison[]> {
  const rows: (readonly Comparison[])[] = [];
  const left = names.entries();
  const countOn = async (): Promise<void> => {
    for (const [index, name] of left) rows[index] = await count(name);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, countOn));
  return rows.flat();
}

function print(key: string, { rows, passed, summary }: Outcome): void {
  if (options.json) {
    console.log(JSON.stringify({ key, passed, summary, rows }));
    return;
  }
  console.log(key);
  console.table(
    rows.map((row) => ({
      ...row,
      instructions: row.instructions === undefined ? "" : Math.round(row.instructions),
      baseline: row.baseline ?? "",
      change: row.change === undefined ? "" : `${(100 * row.change).toFixed(2)} %`,
    })),
  );
  console.log(summary);
}
