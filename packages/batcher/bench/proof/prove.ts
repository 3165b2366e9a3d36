import { FixedController } from "../../src/index.ts";
import { AimdController } from "./aimd.ts";
import { bestStatic } from "./best-static.ts";
import type { StaticSetting } from "./best-static.ts";
import type { CostModel } from "./cost-model.ts";
import { heldOutModels, heldOutShifts } from "./held-out.ts";
import { recover } from "./recovery.ts";
import { maxBatchSize, maxConcurrentBatches, simulate } from "./simulator.ts";
import type { Strategy } from "./simulator.ts";
import { trainModels, trainShifts } from "./train.ts";
import { unseenModels, unseenShifts } from "./unseen.ts";

export interface ProofOptions {
  readonly seeds: number;
  /** Busy time of each run. */
  readonly durationMs: number;
  /** Busy time of each setting of the grid. */
  readonly gridMs: number;
  readonly onProgress?: (done: string) => void;
}

export interface Shares {
  readonly worst: number;
  readonly mean: number;
}

export interface ModelResult {
  readonly model: string;
  readonly best: StaticSetting;
  /** Of the best static setting, from a cold start. */
  readonly fixed: Shares;
  /** The one setting that is best over all models of the held-out set, known in hindsight. */
  readonly constant: Shares;
  readonly aimd: Shares;
  readonly adaptive: Shares;
  /** Of the best static setting, in the second half of the run. */
  readonly adaptiveSettled: Shares;
  /** Against fixed 100 x 4 with the same seed. */
  readonly adaptiveOfFixed: Shares;
  /** Share of the adaptive controller's calls that missed the objective. */
  readonly adaptiveLate: number;
}

export interface ShiftResult {
  readonly shift: string;
  /** Virtual seconds until 90 % of the new best; null if never in the time watched. */
  readonly medianSeconds: number | null;
  readonly worstSeconds: number | null;
  readonly worstBatches: number | null;
  /** Share of the seeds within 30 virtual seconds or 200 batches. */
  readonly inTime: number;
}

export interface SetResult {
  readonly models: readonly ModelResult[];
  readonly overall: Readonly<
    Record<
      "fixed" | "constant" | "aimd" | "adaptive" | "adaptiveSettled" | "adaptiveOfFixed",
      Shares
    >
  >;
  readonly shifts: readonly ShiftResult[];
}

const sets = {
  train: { models: trainModels, shifts: trainShifts },
  "held-out": { models: heldOutModels, shifts: heldOutShifts },
  unseen: { models: unseenModels, shifts: unseenShifts },
} as const;
/** Of 42 constants, 100 to 1000 by 4 to 24, the one of the best mean share over the held-out models. */
export const bestConstant = { size: 180, concurrency: 24, lingerMs: 0 } as const;
const driftMs = 250_000;
const longMs = 10_000;
const inTimeMs = 30_000;
const inTimeBatches = 200;

export function prove(set: keyof typeof sets, options: ProofOptions): SetResult {
  const { models, shifts } = sets[set];
  const results = models.map((model) => {
    const result = proveModel(model, options);
    options.onProgress?.(`${set}: ${model.name}`);
    return result;
  });
  const recoveries = shifts.map(([from, to]) => {
    const result = proveShift(named(models, from), named(models, to), options);
    options.onProgress?.(`${set}: ${result.shift}`);
    return result;
  });
  const all = (of: (result: ModelResult) => Shares) => overall(results.map(of));
  return {
    models: results,
    overall: {
      fixed: all(({ fixed }) => fixed),
      constant: all(({ constant }) => constant),
      aimd: all(({ aimd }) => aimd),
      adaptive: all(({ adaptive }) => adaptive),
      adaptiveSettled: all(({ adaptiveSettled }) => adaptiveSettled),
      adaptiveOfFixed: all(({ adaptiveOfFixed }) => adaptiveOfFixed),
    },
    shifts: recoveries,
  };
}

function proveModel(model: CostModel, { seeds, durationMs, gridMs }: ProofOptions): ModelResult {
  const best = bestStatic(model, searchOf(model, gridMs, durationMs));
  const run = (strategy: Strategy) =>
    seedsOf(seeds).map((seed) => simulate(strategy, model, { seed, durationMs }));
  const [fixed, constant, aimd, adaptive] = [
    run("fixed"),
    run(() => new FixedController(bestConstant)),
    run(aimdFor),
    run("adaptive"),
  ];
  const ofBest = (goodputs: readonly number[]) =>
    shares(goodputs.map((goodput) => goodput / best.goodput));
  return {
    model: model.name,
    best,
    fixed: ofBest(fixed.map(({ goodput }) => goodput)),
    constant: ofBest(constant.map(({ goodput }) => goodput)),
    aimd: ofBest(aimd.map(({ goodput }) => goodput)),
    adaptive: ofBest(adaptive.map(({ goodput }) => goodput)),
    adaptiveSettled: ofBest(adaptive.map(({ settledGoodput }) => settledGoodput)),
    adaptiveOfFixed: shares(
      adaptive.map(({ goodput }, index) => goodput / (fixed[index]?.goodput ?? Infinity)),
    ),
    adaptiveLate: mean(adaptive.map(({ late }) => late)),
  };
}

function proveShift(before: CostModel, after: CostModel, options: ProofOptions): ShiftResult {
  const objectiveMs = Math.max(before.objectiveMs, after.objectiveMs);
  const { gridMs, durationMs, seeds } = options;
  const best = bestStatic({ ...after, objectiveMs }, searchOf(after, gridMs, durationMs));
  const recoveries = seedsOf(seeds).map((seed) =>
    recover("adaptive", [before, after], best.goodput, seed),
  );
  const inTime = recoveries.filter(({ ms, batches }) => ms <= inTimeMs || batches <= inTimeBatches);
  const seconds = recoveries.map(({ ms }) => ms / 1_000).toSorted((one, other) => one - other);
  return {
    shift: `${before.name} -> ${after.name}`,
    medianSeconds: finite(seconds[seconds.length >> 1]),
    worstSeconds: finite(seconds.at(-1)),
    worstBatches: finite(Math.max(...recoveries.map(({ batches }) => batches))),
    inTime: inTime.length / recoveries.length,
  };
}

/** A drift has to be seen whole, and of long calls enough. */
function searchOf({ name, objectiveMs }: CostModel, gridMs: number, durationMs: number) {
  if (name === "drifting" || name === "cold every 10 s")
    return { gridMs: Math.min(driftMs, durationMs), finalMs: durationMs };
  const longer = objectiveMs >= longMs ? 5 : 1;
  return { gridMs: gridMs * longer, finalMs: Math.min(gridMs * longer * 6, durationMs) };
}

function aimdFor({ objectiveMs }: CostModel): AimdController {
  return new AimdController({
    maxBatchSize,
    maxConcurrentBatches,
    latencyObjectiveMs: objectiveMs,
  });
}

function seedsOf(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function shares(values: readonly number[]): Shares {
  return { worst: Math.min(...values), mean: mean(values) };
}

function overall(parts: readonly Shares[]): Shares {
  return {
    worst: Math.min(...parts.map(({ worst }) => worst)),
    mean: mean(parts.map((part) => part.mean)),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function named(models: readonly CostModel[], name: string): CostModel {
  const model = models.find((one) => one.name === name);
  if (model === undefined) throw new Error(`no model "${name}"`);
  return model;
}
