import type { CostModel } from "./cost-model.ts";
import { shift } from "./cost-model.ts";
import { simulate } from "./simulator.ts";
import type { Point, Strategy } from "./simulator.ts";

export interface Recovery {
  /** Until the goodput was 90 % of the new best for a while; Infinity if it never was. */
  readonly ms: number;
  readonly batches: number;
}

const shiftAtMs = 90_000;
const watchedMs = 150_000;
const heldMs = 3_000;
const wanted = 0.9;

/** How long a strategy takes to come within 90 % of `best` after the backend has changed. */
export function recover(
  strategy: Strategy,
  [before, after]: readonly [CostModel, CostModel],
  best: number,
  seed: number,
): Recovery {
  const model = shift(before, after, shiftAtMs);
  const durationMs = shiftAtMs + watchedMs;
  const { trace } = simulate(strategy, model, { seed, durationMs, traced: true });
  const points = trace.filter(({ startedAtMs }) => startedAtMs >= shiftAtMs);
  return firstGood(points, (best * wanted * heldMs) / 1_000);
}

/** The first point that is followed by `heldMs` with that many items. */
function firstGood(points: readonly Point[], items: number): Recovery {
  let [end, sum] = [0, 0];
  for (const [start, { atMs }] of points.entries()) {
    for (
      let next = points[end];
      next !== undefined && next.atMs <= atMs + heldMs;
      next = points[end]
    ) {
      sum += next.items;
      end += 1;
    }
    if (end === points.length) break;
    sum -= points[start]?.items ?? 0;
    if (sum >= items) return { ms: atMs - shiftAtMs, batches: start };
  }
  return { ms: Infinity, batches: Infinity };
}
