import type { FloorSample } from "../../src/heap-floor-blocks.ts";
import { Random } from "./random.ts";

export const RUN_MS = 8 * 3_600_000;
const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

/** Something that holds memory, asked at rising times (in minutes since the start). */
export interface Part {
  readonly heapMb: (minute: number) => number;
  readonly load?: (minute: number) => number;
}

/** A process without a leak. */
export interface World {
  readonly parts: readonly Part[];
  /** Minutes from one major collection to the next. */
  readonly gapMinutes: () => number;
  /** What was still in use, or not yet collected, when the heap was read after a collection. */
  readonly restMb: () => number;
}

export type Environment = (random: Random) => World;

/** What a detector sees of one run: the heap after each major collection, and the load. */
export function simulate(
  environment: Environment,
  leakMbPerHour: number,
  seed: number,
): readonly FloorSample[] {
  const random = new Random(seed);
  const { parts, gapMinutes, restMb } = environment(random);
  const baseMb = random.between(50, 200);
  const samples: FloorSample[] = [];
  for (let minute = gapMinutes(); minute * MINUTE_MS < RUN_MS; minute += gapMinutes()) {
    const heldMb = parts.reduce((sum, { heapMb }) => sum + heapMb(minute), 0);
    const load = parts.reduce((sum, part) => sum + (part.load?.(minute) ?? 0), 0);
    const usedMb = baseMb + heldMb + restMb() + (leakMbPerHour * minute) / 60;
    samples.push({ atMs: minute * MINUTE_MS, usedBytes: Math.round(usedMb * MIB), load });
  }
  return samples;
}
