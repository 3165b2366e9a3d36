import { readFileSync, readdirSync } from "node:fs";
import { totalmem } from "node:os";

/** Files, sockets and pipes the process holds open; undefined where there is no `/proc`. */
export function openDescriptors(directory: string = "/proc/self/fd"): number | undefined {
  try {
    // Without the one that reads the directory.
    return readdirSync(directory).length - 1;
  } catch {
    return undefined;
  }
}

/** Soft limit of open descriptors; undefined where it is unlimited or there is no `/proc`. */
export function maxDescriptors(file: string = "/proc/self/limits"): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync(file, "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** Memory the control group of the process allows it, in bytes; undefined when it allows all there is. */
export function memoryLimitBytes(
  constrained: number = process.constrainedMemory(),
  total: number = totalmem(),
): number | undefined {
  return constrained > 0 && constrained < total ? constrained : undefined;
}
