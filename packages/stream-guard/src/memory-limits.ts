import { readFileSync } from "node:fs";
import { getHeapStatistics } from "node:v8";

/** The content of a file, or undefined when it cannot be read. */
export type ReadTextFile = (path: string) => string | undefined;

const CGROUP_V2 = "/sys/fs/cgroup/memory.max";
const CGROUP_V1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes";

/** The smaller of V8's heap limit and the container's memory limit. */
export function memoryLimitBytes(read: ReadTextFile = readTextFile): number {
  return Math.min(heapLimitBytes(), containerLimitBytes(read) ?? Number.POSITIVE_INFINITY);
}

export function heapLimitBytes(): number {
  return getHeapStatistics().heap_size_limit;
}

/**
 * The memory limit of the control group as the process sees it (v2 `memory.max`, then v1
 * `memory.limit_in_bytes`); undefined when there is none. v1 says "none" with a number near 2^63.
 */
export function containerLimitBytes(read: ReadTextFile = readTextFile): number | undefined {
  for (const path of [CGROUP_V2, CGROUP_V1]) {
    const limit = Number(read(path)?.trim() || Number.NaN);
    if (limit > 0 && limit <= Number.MAX_SAFE_INTEGER) return limit;
  }
  return undefined;
}

function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
