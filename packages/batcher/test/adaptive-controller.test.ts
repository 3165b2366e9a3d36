import { describe, expect, test } from "vitest";
import { AdaptiveController, BatchProcessor } from "../src/index.ts";
import type { BatchRecord, BatchSettings } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { backends, bestStatic, fixed, simulate } from "./support/simulator.ts";
import type { Backend } from "./support/simulator.ts";
import { VirtualTime } from "./support/virtual-time.ts";

const home: BatchSettings = { size: 100, concurrency: 4, lingerMs: 0 };
const adaptive = (options: { latencyObjectiveMs?: number } = {}) =>
  new AdaptiveController({ maxBatchSize: 1_000, maxConcurrentBatches: 32, home, ...options });
const run = { seed: 7, durationMs: 300_000, noise: 0.2 };

function backendNamed(name: string): Backend {
  const found = backends.find((backend) => backend.name === name);
  if (found === undefined) throw new Error(`no backend "${name}"`);
  return found;
}

describe("adaptive batching", () => {
  describe.each(backends)("$name", (backend) => {
    test.each([1, 2, 3])("never below 0.95 of a fixed 100 x 4 (seed %i)", (seed) => {
      const options = { ...run, seed };
      const goodput = simulate(adaptive(), backend, options);
      expect(goodput / simulate(fixed(100, 4), backend, options)).toBeGreaterThan(0.95);
    });
  });

  test.each(["fixed cost", "size cliff", "hard limit", "contention", "small is best", "linear"])(
    "%s: most of what the best static setting gives",
    (name) => {
      const backend = backendNamed(name);
      const best = bestStatic(backend, 1_000, 32, { ...run, durationMs: 5_000 });
      expect(simulate(adaptive(), backend, run) / best).toBeGreaterThan(0.75);
    },
    120_000,
  );

  test("settings that miss the latency objective are left for some that keep it", () => {
    const controller = adaptive({ latencyObjectiveMs: 45 });
    simulate(
      controller,
      { name: "linear", durationMs: (size) => 2 + size },
      { ...run, noise: 0.05 },
    );
    expect(controller.stats()["size"]).toBeLessThanOrEqual(45);
  });

  test("after a shift of the backend it moves on", () => {
    const before: Backend = { name: "before", durationMs: (size) => 40 + 0.05 * size };
    const shifting: Backend = {
      name: "shifting",
      durationMs: (size, running, now) =>
        now < 100_000 ? before.durationMs(size, running, now) : 5 + 0.005 * size ** 2,
    };
    const settled = adaptive();
    simulate(settled, before, { ...run, durationMs: 100_000 });
    expect(settled.stats()["size"]).toBe(1_000);
    const moved = adaptive();
    simulate(moved, shifting, { ...run, durationMs: 400_000 });
    expect(moved.stats()["size"]).toBeLessThan(100);
  });

  test("without enough work to fill batches nothing is tried, and a trial under way is given up", () => {
    const controller = adaptive();
    const slots = new Slots(controller);
    slots.rounds(100, { saturated: false });
    expect(controller.stats()["trials"]).toBe(0);
    slots.rounds(20);
    expect(controller.stats()["trials"]).toBeGreaterThan(0);
    slots.rounds(100, { saturated: false });
    expect(controller.stats()["trying"]).toBe(false);
    const trials = controller.stats()["trials"];
    slots.rounds(100, { saturated: false });
    expect(controller.stats()["trials"]).toBe(trials);
  });

  test("nothing is measured while a batch of earlier settings still runs", () => {
    const controller = adaptive();
    const straggler = controller.next();
    controller.started?.(straggler, 0);
    const slots = new Slots(controller);
    while (controller.stats()["trying"] !== true && slots.nowMs < 10_000) slots.rounds(1);
    const candidate = controller.next();
    expect(candidate).toMatchObject({ size: 200 });
    slots.rounds(200);
    expect(controller.next()).toBe(candidate);
    controller.record({ ...callOf(straggler), durationMs: slots.nowMs });
    slots.rounds(200);
    expect(controller.next()).not.toBe(candidate);
  });

  test("while this process is short of time or memory nothing larger is tried", () => {
    const load = { eventLoopUtilization: 0.95, memoryPressure: 0.1 };
    const controller = new AdaptiveController({
      maxBatchSize: 1_000,
      maxConcurrentBatches: 32,
      home,
      load: () => load,
    });
    const slots = new Slots(controller);
    const largest = () =>
      Math.max(...slots.seen.map(({ size, concurrency }) => size * concurrency));
    slots.rounds(500);
    expect(largest()).toBe(400);
    expect(controller.stats()["braking"]).toBe(true);
    load.eventLoopUtilization = 0.2;
    load.memoryPressure = 0.9;
    slots.rounds(500);
    expect(largest()).toBe(400);
    load.memoryPressure = 0.2;
    slots.rounds(5_000);
    expect(largest()).toBeGreaterThan(400);
  });

  test("failures in a row away from home lead back there at once", () => {
    const controller = adaptive();
    simulate(controller, backendNamed("fixed cost"), { ...run, durationMs: 60_000 });
    expect(controller.stats()["size"]).toBe(1_000);
    const failing = { ...callOf(controller.next()), succeeded: 0, failed: 1_000 };
    for (let call = 0; call < 10; call++) fail(controller, failing);
    expect(controller.next()).toMatchObject({ size: 100, concurrency: 4 });
  });

  test("a backend that always fails is no reason to move", () => {
    const controller = adaptive();
    simulate(
      controller,
      { name: "down", durationMs: () => 10, refuses: () => true },
      { ...run, durationMs: 60_000 },
    );
    expect(controller.stats()).toMatchObject({ size: 100, concurrency: 4, moves: 0 });
  });

  test("with limits of one there is nothing to try", () => {
    const one = { ...home, size: 1, concurrency: 1 };
    const controller = new AdaptiveController({
      maxBatchSize: 1,
      maxConcurrentBatches: 1,
      home: one,
    });
    simulate(controller, backendNamed("linear"), { ...run, durationMs: 10_000 });
    expect(controller.next()).toEqual(one);
  });

  test("a batcher with a fixed cost per call learns larger batches from its own traffic", async () => {
    const time = new VirtualTime();
    const batcher = new BatchProcessor<number, number>(
      async (items) => {
        await time.delay(20 + items.length * 0.01);
        return [...items];
      },
      { maxBatchSize: 1_000, queueLimit: 100_000, now: time.now, timers: time },
    );
    const all = batcher.processBatch(range(60_000));
    await time.advance(60_000);
    expect((await all).length).toBe(60_000);
    expect(Math.max(...batcher.performanceHistory.map(({ size }) => size))).toBeGreaterThanOrEqual(
      400,
    );
    await batcher.close();
  });
});

function fail(controller: AdaptiveController, call: BatchRecord): void {
  const settings = controller.next();
  controller.started(settings);
  controller.record({ ...call, outcome: "failed", settings });
}

/** All slots of a controller at work, in rounds of 10 ms. */
class Slots {
  readonly seen: BatchSettings[] = [];
  nowMs = 0;
  readonly #controller: AdaptiveController;

  constructor(controller: AdaptiveController) {
    this.#controller = controller;
  }

  rounds(count: number, { saturated = true } = {}): void {
    for (let round = 0; round < count; round++) {
      const settings = this.#controller.next();
      this.seen.push(settings);
      const running = Array.from({ length: settings.concurrency }, () => settings);
      for (const asked of running) this.#controller.started(asked, this.nowMs);
      const startedAtMs = this.nowMs;
      this.nowMs += 10;
      for (const asked of running)
        this.#controller.record({ ...callOf(asked), startedAtMs, saturated });
    }
  }
}

function callOf(settings: BatchSettings): BatchRecord {
  return {
    batchId: 1,
    attempt: 1,
    size: settings.size,
    succeeded: settings.size,
    failed: 0,
    outcome: "ok",
    startedAtMs: 0,
    durationMs: 10,
    waitMs: 0,
    saturated: true,
    settings,
  };
}
