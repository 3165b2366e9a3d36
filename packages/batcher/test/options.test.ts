import { expect, test } from "vitest";
import { BatcherOptionError, BatchProcessor } from "../src/index.ts";
import type { BatchController } from "../src/index.ts";
import { ManualBackend, range } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

const echo = (items: readonly number[]) => Promise.resolve([...items]);

test.each([
  ["maxBatchSize", 0],
  ["maxBatchSize", 1.5],
  ["maxConcurrentBatches", "4"],
  ["adaptiveSizing", "yes"],
  ["controller", { next: 1 }],
  ["lingerMs", -1],
  ["queueLimit", Infinity],
  ["queueMaxBytes", 0],
  ["sizeOf", 1],
  ["idempotent", 1],
  ["maxAttempts", 0],
  ["retryBudgetRatio", 2],
  ["classify", "poison"],
  ["latencyObjectiveMs", 0],
  ["batchTimeoutMs", Infinity],
  ["batchTimeoutMs", 2 ** 31],
  ["priorityAgeingMs", Number.NaN],
  ["historyLimit", 0],
  ["now", 0],
  ["random", []],
  ["timers", null],
  ["maxBatchsize", 10],
] as const)(
  "%s = %j is refused, and the error says which option and what was expected",
  (name, value) => {
    const make = () => new BatchProcessor(echo, { [name]: value });
    expect(make).toThrow(BatcherOptionError);
    expect(make).toThrow(new RegExp(`^${name}: expected .+, got `));
    expect(make).toThrow(expect.objectContaining({ code: "BATCHER_OPTION", option: name }));
  },
);

test("options that are undefined count as not given, and options must be an object", () => {
  const batcher = new BatchProcessor(echo, { maxBatchSize: undefined } as never);
  expect(batcher.stats().sizeLimit).toBe(100);
  expect(() => new BatchProcessor(echo, 5 as never)).toThrow("options: expected an object, got 5");
  expect(() => new BatchProcessor("no" as never)).toThrow(
    'processor: expected a function, got "no"',
  );
});

test("an own controller is clamped to the limits and told of every call", async () => {
  const backend = new ManualBackend<number, number>();
  const sizes: number[] = [];
  const controller: BatchController = {
    next: () => ({ size: 5_000, concurrency: 50, lingerMs: 1e9 }),
    record: ({ size }) => sizes.push(size),
    stats: () => ({ mine: true }),
  };
  const batcher = new BatchProcessor(backend.process, {
    controller,
    maxBatchSize: 10,
    maxConcurrentBatches: 2,
  });
  const all = batcher.processBatch(range(20));
  await turn();
  expect(backend.sizes).toEqual([10, 10]);
  for (const { items, answer } of backend.calls) answer([...items]);
  await all;
  expect(sizes).toEqual([10, 10]);
  expect(batcher.stats()).toMatchObject({
    concurrencyLimit: 2,
    lingerMs: 0,
    controller: { mine: true },
  });
});

test("a controller that throws or answers nonsense is replaced by the fixed limits, and counted", async () => {
  const broken: BatchController = {
    next: () => ({ size: Number.NaN, concurrency: 1, lingerMs: 0 }),
    record: () => {
      throw new Error("broken");
    },
  };
  const batcher = new BatchProcessor(echo, { controller: broken, maxBatchSize: 10 });
  expect(await batcher.processBatch(range(30))).toHaveLength(30);
  expect(batcher.stats()).toMatchObject({ sizeLimit: 10, batches: { ok: 3 } });
  expect(batcher.stats().controllerErrors).toBeGreaterThan(3);
});
