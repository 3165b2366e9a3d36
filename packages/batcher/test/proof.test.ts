import { beforeAll, describe, expect, test } from "vitest";
import { lingerCost } from "../bench/proof/idle.ts";
import { shift } from "../bench/proof/cost-model.ts";
import type { CostModel } from "../bench/proof/cost-model.ts";
import { heldOutModels } from "../bench/proof/held-out.ts";
import { prove } from "../bench/proof/prove.ts";
import type { SetResult } from "../bench/proof/prove.ts";
import { Random } from "../bench/proof/random.ts";
import { simulate } from "../bench/proof/simulator.ts";
import { trainModels } from "../bench/proof/train.ts";
import { unseenModels } from "../bench/proof/unseen.ts";
import { BatchProcessor } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { VirtualTime } from "./support/virtual-time.ts";

describe("the quick proof on the held-out models", () => {
  let proof: SetResult;

  beforeAll(() => {
    proof = prove("held-out", { seeds: 2, durationMs: 300_000, gridMs: 8_000 });
  }, 120_000);

  const share = (name: string) => proof.models.find(({ model }) => model === name)?.adaptive.worst;

  test("most of the best static setting on average, and a good part of it in the worst case", () => {
    expect(proof.overall.adaptive.mean).toBeGreaterThan(0.95);
    expect(proof.overall.adaptive.worst).toBeGreaterThan(0.85);
  });

  test("never far below a fixed 100 x 4, and at least 40 % above it wherever it has a half to gain", () => {
    expect(proof.overall.adaptiveOfFixed.worst).toBeGreaterThan(0.95);
    const winnable = proof.models.filter(({ fixed }) => fixed.worst < 1 / 1.5);
    expect(winnable.length).toBeGreaterThanOrEqual(12);
    expect(winnable.filter(({ adaptiveOfFixed }) => adaptiveOfFixed.worst < 1.4)).toEqual([]);
  });

  test("sizes that are refused or time out are remembered", () => {
    expect(share("body limit")).toBeGreaterThan(0.95);
    expect(share("time-out")).toBeGreaterThan(0.85);
  });

  test("more than AIMD and than a fixed setting, over all models", () => {
    expect(proof.overall.adaptive.mean).toBeGreaterThan(proof.overall.aimd.mean + 0.1);
    expect(proof.overall.adaptive.mean).toBeGreaterThan(proof.overall.fixed.mean + 0.5);
  });

  test("calls that are late for the objective stay about as rare as the objective allows", () => {
    for (const { adaptiveLate } of proof.models) expect(adaptiveLate).toBeLessThan(0.02);
  });

  test.each(["linear -> super-linear", "contention -> linear", "serial lock -> size cliff"])(
    "after a shift it comes back within 30 s: %s",
    (name) => {
      expect(proof.shifts.find((result) => result.shift === name)?.inTime).toBe(1);
    },
  );
});

test("a change of the backend is noticed although the search is at rest", () => {
  const [before, after] = ["small fixed cost", "super-linear"].map((name) =>
    heldOutModels.find((model) => model.name === name),
  );
  if (before === undefined || after === undefined) throw new Error("no such models");
  const model = shift(before, after, 200_000);
  const run = simulate("adaptive", model, { seed: 1, durationMs: 230_000 });
  expect(run.controller["shifts"]).toBeGreaterThan(0);
});

test("the models to tune on and the models of the claim are different ones", () => {
  expect(trainModels.length).toBeGreaterThanOrEqual(12);
  expect(heldOutModels.length).toBeGreaterThanOrEqual(12);
  const trained = new Set(durations(trainModels));
  expect(durations(heldOutModels).filter((duration) => trained.has(duration))).toEqual([]);
  const known = new Set([...trainModels, ...heldOutModels].map(({ name }) => name));
  expect(unseenModels.length).toBeGreaterThanOrEqual(6);
  expect(unseenModels.filter(({ name }) => known.has(name))).toEqual([]);
});

test("what lingerMs adds is measured where items meet running batches, and is none without it", async () => {
  const [without, withLinger] = [await lingerCost(0, 10, 500), await lingerCost(20, 10, 500)];
  expect(without.addedP99Ms).toBeLessThanOrEqual(1);
  expect(withLinger.addedP99Ms).toBeGreaterThanOrEqual(without.addedP99Ms);
  expect(withLinger.addedP99Ms).toBeLessThanOrEqual(20);
});

test.each(["contention", "small fixed cost", "body limit"])(
  "the simulated dispatcher and a real BatchProcessor agree: %s",
  async (name) => {
    const model = trainModels.find((one) => one.name === name);
    if (model === undefined) throw new Error(`no model "${name}"`);
    const virtualMs = 20_000;
    const options = { seed: 3, durationMs: virtualMs };
    const simulated = simulate("adaptive", model, options).goodput;
    const time = new VirtualTime();
    const random = new Random(3);
    const backend = model.start();
    let [running, items] = [0, 0];
    const batcher = new BatchProcessor<number, number>(
      async (batch) => {
        running += 1;
        const refused = backend.refuses?.(batch.length, time.now()) === true;
        const clean = backend.durationMs(batch.length, running, time.now());
        await time.delay(clean * Math.exp(0.15 * random.normal()));
        running -= 1;
        if (refused) throw Object.assign(new Error("too large"), { status: 413 });
        items += batch.length;
        return [...batch];
      },
      {
        maxBatchSize: 1_000,
        maxConcurrentBatches: 32,
        queueLimit: 2_000_000,
        latencyObjectiveMs: model.objectiveMs,
        now: time.now,
        timers: time,
      },
    );
    const work = batcher.processBatch(range(1_500_000));
    await time.advance(virtualMs);
    const real = items / (virtualMs / 1_000);
    const closing = batcher.close();
    await time.advance(60_000);
    await Promise.all([work, closing]);
    expect(Math.abs(real / simulated - 1)).toBeLessThan(0.1);
  },
  60_000,
);

function durations(models: readonly CostModel[]): number[] {
  return models.map((model) => model.start().durationMs(157, 7, 0));
}
