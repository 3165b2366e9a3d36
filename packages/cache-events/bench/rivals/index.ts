// How many reads are stale when reads race with invalidations and slow computes? In one process over memory, and in three over
// one Redis. --json prints JSON, --quick a tenth of the operations.
import { race, raceProcesses } from "@mcp-accel/cache-events/testing";
import type { OpenCache, RaceReport } from "@mcp-accel/cache-events/testing";
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { redisProgram, startRedis } from "../../../../tools/services/redis.ts";
import type { RivalData } from "./data.ts";
import type { Rival } from "./rivals.ts";
import { local, shared } from "./rivals.ts";

interface Row {
  readonly cache: string;
  readonly versions: string;
  readonly reads: number;
  readonly hits: number;
  readonly invalidations: number;
  /** Reads that rejected, of which about one in twenty is meant to. */
  readonly failed: number;
  readonly stale: number;
  readonly share: string;
  /** From the end of an invalidation to the start of a read that should have heeded it. */
  readonly longest: string;
}

const quick = process.argv.includes("--quick");
const seeds = quick ? [1] : [1, 2, 3, 4, 5];
const operations = quick ? 2_000 : 20_000;
const processes = 3;

const inOne: Row[] = [];
for (const rival of local) inOne.push(rowOf(rival, await raceLocally(rival)));
const inSeveral = redisProgram === undefined ? undefined : await raceOverRedis();

if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ node: process.version, inOne, inSeveral }));
} else {
  console.log(
    `Node ${process.version}. Stale: a read that began after an invalidation had resolved`,
  );
  console.log("got a value whose compute began before that invalidation was called.\n");
  console.log(`One process, ${seeds.length} seeded races of ${operations} operations:`);
  console.table(inOne);
  if (inSeveral === undefined) {
    console.log(`${processes} processes over Redis: skipped, there is no redis-server`);
  } else {
    console.log(`${processes} processes over one Redis:`);
    console.table(inSeveral);
  }
}
// Some of the rivals leave timers and connections behind.
process.exit();

async function raceLocally(rival: Rival): Promise<RaceReport[]> {
  const { open } = (await import(urlOf(rival))) as { readonly open: OpenCache };
  const reports: RaceReport[] = [];
  for (const seed of seeds) reports.push(await race({ open, seed, operations }));
  return reports;
}

async function raceOverRedis(): Promise<Row[]> {
  await using server = await startRedis();
  const rows: Row[] = [];
  for (const rival of shared) {
    const data: RivalData = { redisPort: server.port };
    const report = await raceProcesses({
      module: urlOf(rival),
      processes,
      data,
      rounds: 2,
      operations: operations / 10,
      roundMs: 20_000,
      clockOffsetsMs: [0],
    });
    rows.push(rowOf(rival, [report]));
  }
  return rows;
}

function rowOf({ name, packages }: Rival, reports: readonly RaceReport[]): Row {
  const sum = (count: (report: RaceReport) => number): number =>
    reports.reduce((all, report) => all + count(report), 0);
  const reads = sum((report) => report.reads);
  const stale = sum((report) => report.staleReads);
  const unexpected = [...new Set(reports.flatMap(({ errors }) => errors))];
  for (const error of unexpected) console.error(`${name}: ${error}`);
  const longest = Math.max(...reports.map((report) => report.longest));
  return {
    cache: name,
    versions: packages.map((one) => `${one} ${versionOf(one)}`).join(", "),
    reads,
    hits: sum((report) => report.hits),
    invalidations: sum((report) => report.confirmed),
    failed: sum((report) => report.failures),
    stale,
    share: `${reads === 0 ? "-" : ((100 * stale) / reads).toFixed(1)} %`,
    longest: `${longest.toFixed(0)} ${reports[0]?.unit ?? ""}`,
  };
}

function urlOf({ module }: Rival): string {
  return new URL(`./${module}.ts`, import.meta.url).href;
}

function versionOf(name: string): string {
  const path = findPackageJSON(name, import.meta.url);
  if (path === undefined) return "?";
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}
