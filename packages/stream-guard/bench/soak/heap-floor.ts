import { setImmediate } from "node:timers/promises";
import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8";

export interface MemorySample {
  /** Left by a full collection: objects on the heap, and buffers outside of it. */
  readonly floorBytes: number;
  /** Compiled code and bytecode. It grows while the engine still optimises, whatever the sessions do. */
  readonly codeBytes: number;
  readonly rssBytes: number;
}

const CODE_SPACES: ReadonlySet<string> = new Set([
  "code_space",
  "code_large_object_space",
  "trusted_space",
  "trusted_large_object_space",
]);
/** A collection may set off finalizers, and what they let go of is seen by the next. */
const COLLECTIONS = 2;

/** Collects everything that can be, and measures what is left. Needs `--expose-gc`. */
export async function sampleMemory(): Promise<MemorySample> {
  for (let count = 0; count < COLLECTIONS; count += 1) {
    await setImmediate();
    collect();
  }
  let floorBytes = getHeapStatistics().external_memory;
  let codeBytes = 0;
  for (const { space_name: name, space_used_size: bytes } of getHeapSpaceStatistics()) {
    if (CODE_SPACES.has(name)) codeBytes += bytes;
    else floorBytes += bytes;
  }
  return { floorBytes, codeBytes, rssBytes: process.memoryUsage.rss() };
}

/** @throws Error when node runs without `--expose-gc` */
export function collect(): void {
  if (globalThis.gc === undefined) throw new Error("node must be run with --expose-gc");
  globalThis.gc();
}
