import { heldOut } from "./held-out.ts";
import { limits } from "./limits.ts";
import { RIVALS } from "./rivals.ts";
import { tuning } from "./tuning.ts";
import { simulate } from "./world.ts";

export const SETS = { tuning, "held-out": heldOut, limits } as const;
export type SetName = keyof typeof SETS;
export const LEAKS: readonly number[] = [0, 0.5, 1, 2, 5, 20];

const HOUR_MS = 3_600_000;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Cell {
  readonly environment: string;
  readonly leakMbPerHour: number;
  readonly rival: string;
  readonly runs: number;
  readonly alarmed: number;
  /** Alarmed within the first four hours. */
  readonly within4h: number;
  readonly interval: Interval;
  /** Of the runs that alarmed. */
  readonly medianHours: number | undefined;
}

/** Every environment of a set with every leak, each run seen by every rival. */
export function* study(set: SetName, runs: number, leaks = LEAKS): Generator<readonly Cell[]> {
  for (const environment of Object.keys(SETS[set]))
    for (const leak of leaks) yield cells(set, environment, leak, runs);
}

export function cells(
  set: SetName,
  environment: string,
  leakMbPerHour: number,
  runs: number,
  rivals = RIVALS,
): readonly Cell[] {
  const world = SETS[set][environment];
  if (world === undefined) throw new Error(`no environment ${environment} in ${set}`);
  const hours = rivals.map((): number[] => []);
  for (let run = 0; run < runs; run += 1) {
    const samples = simulate(world, leakMbPerHour, seedOf(set, environment, leakMbPerHour, run));
    for (const [index, rival] of rivals.entries()) {
      const alarm = samples.find(rival.start());
      if (alarm !== undefined) hours[index]?.push(alarm.atMs / HOUR_MS);
    }
  }
  return rivals.map(({ name }, index) => {
    const alarms = (hours[index] ?? []).toSorted((a, b) => a - b);
    return {
      environment,
      leakMbPerHour,
      rival: name,
      runs,
      alarmed: alarms.length,
      within4h: alarms.filter((hour) => hour <= 4).length,
      interval: wilson(alarms.length, runs),
      medianHours: alarms[alarms.length >> 1],
    };
  });
}

/** The 95 % score interval of a share (Wilson 1927). */
export function wilson(count: number, runs: number): Interval {
  const z = 1.959964;
  const share = count / runs;
  const middle = share + (z * z) / (2 * runs);
  const half = z * Math.sqrt((share * (1 - share)) / runs + (z * z) / (4 * runs * runs));
  const scale = 1 + (z * z) / runs;
  return { low: Math.max(0, (middle - half) / scale), high: Math.min(1, (middle + half) / scale) };
}

/** FNV-1a over what names the run, so that no two runs share their randomness. */
function seedOf(...name: readonly (string | number)[]): number {
  let hash = 0x811c9dc5;
  for (const letter of name.join("|")) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return hash;
}
