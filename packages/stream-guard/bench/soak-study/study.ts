import { wilson } from "../leak-study/study.ts";
import type { Interval } from "../leak-study/study.ts";
import { slopeOf } from "../soak/slope.ts";
import type { Slope } from "../soak/slope.ts";
import { trendOf } from "../soak/trend.ts";
import { WORLDS, series } from "./worlds.ts";
import type { World } from "./worlds.ts";

export const BOUND_BYTES = 8;

export interface Cell {
  readonly passed: number;
  readonly leak: number;
  readonly undecided: number;
  /** Share of clean runs that are blamed, or of leaks that pass. */
  readonly wrong: Interval;
}

export interface Row {
  readonly world: string;
  readonly verdict: Cell;
  /** Without a look for steps. */
  readonly line: Cell;
}

export function study(runs: number): readonly Row[] {
  return Object.keys(WORLDS).map((world) => row(world, runs));
}

export function row(name: string, runs: number): Row {
  const world = WORLDS[name];
  if (world === undefined) throw new RangeError(`no world ${name}`);
  const all = Array.from({ length: runs }, (_, index) => series(world, (index + 1) * 7919));
  return {
    world: name,
    verdict: cell(
      world,
      all.map((points) => trendOf(points, BOUND_BYTES).slope),
    ),
    line: cell(
      world,
      all.map((points) => slopeOf(points)),
    ),
  };
}

function cell({ leaks }: World, slopes: readonly Slope[]): Cell {
  const leak = slopes.filter(({ low }) => low > BOUND_BYTES).length;
  const passed = slopes.filter(
    ({ low, high }) => low >= -BOUND_BYTES && high <= BOUND_BYTES,
  ).length;
  const undecided = slopes.length - leak - passed;
  return { passed, leak, undecided, wrong: wilson(leaks ? passed : leak, slopes.length) };
}
