import { FixedController } from "../../src/index.ts";
import type { CostModel } from "./cost-model.ts";
import { maxBatchSize, maxConcurrentBatches, simulate } from "./simulator.ts";

export interface StaticSetting {
  readonly size: number;
  readonly concurrency: number;
  readonly goodput: number;
}

export interface Search {
  /** Virtual time of each setting of the grid. */
  readonly gridMs: number;
  /** Virtual time of the finalists. */
  readonly finalMs: number;
}

const coarse = 1.5;
const fine = 1.1;
const finalists = 4;
const candidates = 200;
const climbers = 2;
const lateAllowed = 0.01;

/**
 * The best setting that never changes and keeps the objective: a coarse grid, a fine one around its best settings, and from the
 * best of these on step by step, halving the steps down to one item and one batch, so that it ends right at a cliff.
 */
export function bestStatic(model: CostModel, { gridMs, finalMs }: Search): StaticSetting {
  const tried = new Map<string, StaticSetting>();
  const attempt = (size: number, concurrency: number): StaticSetting => {
    const key = `${size}x${concurrency}`;
    const found = tried.get(key) ?? measure(model, size, concurrency, gridMs, 1);
    tried.set(key, found);
    return found;
  };
  for (const size of grid(maxBatchSize, coarse))
    for (const concurrency of grid(maxConcurrentBatches, coarse)) attempt(size, concurrency);
  for (const { size, concurrency } of best([...tried.values()], finalists))
    for (const nearSize of near(size, maxBatchSize))
      for (const nearConcurrency of near(concurrency, maxConcurrentBatches))
        attempt(nearSize, nearConcurrency);
  for (const from of best([...tried.values()], climbers)) climb(from, attempt);
  const last: StaticSetting[] = [];
  for (const { size, concurrency } of best([...tried.values()], candidates)) {
    const measured = measure(model, size, concurrency, finalMs, 2);
    // Next to a cliff some keep the objective by luck.
    if (measured.goodput > 0) last.push(measured);
    if (last.length === finalists) break;
  }
  const [first] = best(last, 1);
  if (first === undefined) throw new Error(`${model.name}: no setting at all`);
  return first;
}

function climb(from: StaticSetting, attempt: (size: number, concurrency: number) => StaticSetting) {
  let top = from;
  let [bySize, byConcurrency] = [Math.ceil(from.size * 0.08), 2];
  while (bySize > 0) {
    const { size, concurrency } = top;
    const moves = [
      attempt(Math.min(size + bySize, maxBatchSize), concurrency),
      attempt(Math.max(size - bySize, 1), concurrency),
      attempt(size, Math.min(concurrency + byConcurrency, maxConcurrentBatches)),
      attempt(size, Math.max(concurrency - byConcurrency, 1)),
    ];
    const [next] = best(moves, 1);
    if (next !== undefined && next.goodput > top.goodput) top = next;
    else if (bySize === 1) return;
    else [bySize, byConcurrency] = [bySize >> 1, 1];
  }
}

function measure(
  model: CostModel,
  size: number,
  concurrency: number,
  durationMs: number,
  seed: number,
): StaticSetting {
  const controller = () => new FixedController({ size, concurrency, lingerMs: 0 });
  const { goodput, late } = simulate(controller, model, { seed, durationMs });
  return { size, concurrency, goodput: late <= lateAllowed ? goodput : 0 };
}

function best(settings: readonly StaticSetting[], count: number): StaticSetting[] {
  return settings.toSorted((one, other) => other.goodput - one.goodput).slice(0, count);
}

function grid(most: number, factor: number): number[] {
  const values = [most];
  for (let value = 1; value < most; value = Math.ceil(value * factor)) values.push(value);
  return values;
}

/** Fine steps as far as the next coarse one, both ways. */
function near(value: number, most: number): number[] {
  const values = new Set<number>();
  for (let step = -4; step <= 4; step++)
    values.add(Math.min(Math.max(Math.round(value * fine ** step), 1), most));
  return [...values];
}
