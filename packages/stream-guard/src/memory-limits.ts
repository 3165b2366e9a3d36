import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { memoryCgroups } from "./cgroup.ts";
import type { Cgroup, ReadTextFile } from "./cgroup.ts";

export type { ReadTextFile } from "./cgroup.ts";

/** Where limits are read from. */
export interface MemoryEnvironment {
  readonly read: ReadTextFile;
  readonly heapLimitBytes: () => number;
  /** What Node itself finds; 0, or more than there is, for none. */
  readonly constrainedBytes: () => number;
  readonly machineBytes: () => number;
}

/** A limit, and what is held against it when that is known; otherwise it is the resident set. */
export interface MemoryBound {
  readonly limitBytes: number;
  readonly usedBytes: number | undefined;
}

export const realEnvironment: MemoryEnvironment = {
  read: readTextFile,
  heapLimitBytes,
  constrainedBytes: () => process.constrainedMemory(),
  machineBytes: totalmem,
};

/** The smallest of V8's heap limit, the limits of all control groups around the process, and the machine's memory. */
export function memoryLimitBytes(read?: ReadTextFile): number {
  const environment = read === undefined ? realEnvironment : withFiles(read);
  const bounds = memoryBounds(environment).map(({ limitBytes }) => limitBytes);
  return Math.min(environment.heapLimitBytes(), ...bounds);
}

export function heapLimitBytes(): number {
  return getHeapStatistics().heap_size_limit;
}

/** The smallest memory limit of the control groups around the process; undefined when there is none. */
export function containerLimitBytes(read: ReadTextFile = readTextFile): number | undefined {
  const limits = cgroupBounds(read).map(({ limitBytes }) => limitBytes);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/**
 * Everything that bounds the memory of this process beside V8: each control group around it that has a
 * limit, the machine, and what Node finds, when that is less than all of them.
 */
export function memoryBounds(environment: MemoryEnvironment): readonly MemoryBound[] {
  const bounds = [
    ...cgroupBounds(environment.read),
    { limitBytes: environment.machineBytes(), usedBytes: undefined },
  ];
  const constrained = environment.constrainedBytes();
  const missed = isLimit(constrained) && bounds.every(({ limitBytes }) => constrained < limitBytes);
  return missed ? [...bounds, { limitBytes: constrained, usedBytes: undefined }] : bounds;
}

/**
 * What is held against a group's limit is its working set, its charge without the inactive part of the
 * page cache, as the kubelet counts. It is what the kernel kills by: unlike the resident set it has the
 * other processes of the container, the buffers of its sockets, and its files in memory; and unlike the
 * bare charge it does not rise with every file that is read once.
 */
function cgroupBounds(read: ReadTextFile): readonly MemoryBound[] {
  const cgroups = memoryCgroups(read);
  const own = cgroups.find(({ version }) => version === 1);
  return cgroups.flatMap((cgroup) => {
    if (cgroup.version === 2) return boundOf2(cgroup, read);
    // In version 1 a group may leave the groups inside it alone.
    const counts = cgroup === own || read(`${cgroup.folder}/memory.use_hierarchy`)?.trim() !== "0";
    return counts ? boundOf1(cgroup, read) : [];
  });
}

/** At `memory.high` the kernel throttles the group rather than kill it: too late for us all the same. */
function boundOf2({ folder }: Cgroup, read: ReadTextFile): readonly MemoryBound[] {
  const limits = [`${folder}/memory.max`, `${folder}/memory.high`]
    .map((path) => numberIn(read(path)))
    .filter(isLimit);
  if (limits.length === 0) return [];
  const charge = numberIn(read(`${folder}/memory.current`));
  const inactive = statIn(read(`${folder}/memory.stat`), "inactive_file");
  return [{ limitBytes: Math.min(...limits), usedBytes: workingSet(charge, inactive) }];
}

/** Version 1 says "none" with a number near 2^63, and tells of limits around it that cannot be seen. */
function boundOf1({ folder }: Cgroup, read: ReadTextFile): readonly MemoryBound[] {
  const stat = read(`${folder}/memory.stat`);
  const limits = [
    numberIn(read(`${folder}/memory.limit_in_bytes`)),
    statIn(stat, "hierarchical_memory_limit"),
  ].filter(isLimit);
  if (limits.length === 0) return [];
  const charge = numberIn(read(`${folder}/memory.usage_in_bytes`));
  const inactive = statIn(stat, "total_inactive_file");
  return [{ limitBytes: Math.min(...limits), usedBytes: workingSet(charge, inactive) }];
}

function workingSet(charge: number, inactive: number): number | undefined {
  if (!(charge >= 0)) return undefined;
  return Math.max(0, charge - (inactive >= 0 ? inactive : 0));
}

function isLimit(value: number): boolean {
  return value > 0 && value <= Number.MAX_SAFE_INTEGER;
}

/** NaN for "max", for an empty file and for none. */
function numberIn(text: string | undefined): number {
  return Number(text?.trim() || Number.NaN);
}

function statIn(text: string | undefined, name: string): number {
  const line = text?.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return numberIn(line?.slice(name.length));
}

function withFiles(read: ReadTextFile): MemoryEnvironment {
  return { read, heapLimitBytes, constrainedBytes: unlimited, machineBytes: unlimited };
}

function unlimited(): number {
  return Number.POSITIVE_INFINITY;
}

function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
