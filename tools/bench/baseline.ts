import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { valgrindVersion } from "./callgrind.ts";
import type { Counts } from "./instructions.ts";

/** Counts of all packages on one kind of machine. */
export type Baseline = Readonly<Record<string, Counts>>;

/** What changes counts without any change of ours; undefined when valgrind is missing. */
export function machineKey(): string | undefined {
  const valgrind = valgrindVersion();
  if (valgrind === undefined) return undefined;
  // V8 and libc use what the processor has; valgrind hides everything beyond AVX2.
  const cpu = readFileSync("/proc/cpuinfo", "utf8");
  const vectors = cpu.includes("avx2") ? "avx2" : "plain";
  return `node${process.versions.node}-${process.arch}-${vectors}-${valgrind}`;
}

/** Undefined when there is none for such machines. */
export function readBaseline(key: string): Baseline | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(key), "utf8")) as Baseline;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function writeBaseline(key: string, baseline: Baseline): void {
  const rounded = Object.entries(baseline)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, counts]) => [
      name,
      Object.fromEntries(
        Object.entries(counts).map(([operation, count]) => [operation, round(count)]),
      ),
    ]);
  mkdirSync(dirname(fileOf(key)), { recursive: true });
  writeFileSync(fileOf(key), `${JSON.stringify(Object.fromEntries(rounded), undefined, 2)}\n`);
}

function round(count: number): number {
  return Number(count.toFixed(1));
}

function fileOf(key: string): string {
  return `${import.meta.dirname}/baselines/${key}.json`;
}
