import { HeapFloor } from "../../src/heap-floor.ts";
import type { HeapFloorRule } from "../../src/heap-floor.ts";
import type { FloorSample } from "../../src/heap-floor-blocks.ts";

/** Looks at one run, sample by sample; true is an alarm. */
export interface Rival {
  readonly name: string;
  readonly start: () => (sample: FloorSample) => boolean;
}

const HOUR_MS = 3_600_000;

export function heapFloor(rule: Partial<HeapFloorRule> = {}): Rival {
  return {
    name: "heap floor",
    start: () => {
      const floor = new HeapFloor(rule);
      return (sample) => floor.add(sample) !== undefined;
    },
  };
}

/** node-memwatch: the heap after a full collection grew five times in a row. */
const memwatch: Rival = {
  name: "memwatch",
  start: () => {
    let last = Number.POSITIVE_INFINITY;
    let growing = 0;
    return ({ usedBytes }) => {
      growing = usedBytes > last ? growing + 1 : 0;
      last = usedBytes;
      return growing >= 5;
    };
  },
};

/** A line through all samples, and Student's t of its slope above 0 at the 1 % level, looked at hourly from the second hour on. */
const leastSquares: Rival = {
  name: "least squares",
  start: () => {
    const sums = { n: 0, t: 0, y: 0, tt: 0, ty: 0, yy: 0 };
    const due = hourly();
    return ({ atMs, usedBytes }) => {
      const t = atMs / HOUR_MS;
      sums.n += 1;
      sums.t += t;
      sums.y += usedBytes;
      sums.tt += t * t;
      sums.ty += t * usedBytes;
      sums.yy += usedBytes * usedBytes;
      return due(atMs) && slopeT(sums) > 2.36;
    };
  },
};

/** Mann 1945, Kendall 1975: the sign of all pairs, at the 1 % level, hourly from the second hour on. Its slope is Theil's and Sen's. */
const mannKendall: Rival = {
  name: "Mann-Kendall",
  start: () => {
    const seen: number[] = [];
    let score = 0;
    const due = hourly();
    return ({ atMs, usedBytes }) => {
      for (const value of seen) score += Math.sign(usedBytes - value);
      seen.push(usedBytes);
      const n = seen.length;
      const sigma = Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
      return due(atMs) && (score - 1) / sigma > 2.33;
    };
  },
};

export const RIVALS: readonly Rival[] = [heapFloor(), memwatch, leastSquares, mannKendall];

function hourly(): (atMs: number) => boolean {
  let next = 2 * HOUR_MS;
  return (atMs) => {
    if (atMs < next) return false;
    next += HOUR_MS;
    return true;
  };
}

type Sums = Readonly<Record<"n" | "t" | "y" | "tt" | "ty" | "yy", number>>;

function slopeT({ n, t, y, tt, ty, yy }: Sums): number {
  const spread = tt - (t * t) / n;
  const slope = (ty - (t * y) / n) / spread;
  const residual = Math.max(0, yy - (y * y) / n - slope * slope * spread);
  return slope / Math.sqrt(residual / (n - 2) / spread);
}
