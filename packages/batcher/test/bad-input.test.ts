import { describe, expect, test } from "vitest";
import { AdaptiveController, BatcherOptionError, BatchProcessor } from "../src/index.ts";
import { tunableRules } from "../src/options.ts";
import { ManualBackend, range } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

const echo = (items: readonly number[]) => Promise.resolve([...items]);

const nonsense: readonly unknown[] = [
  Number.NaN,
  Infinity,
  -Infinity,
  -1,
  "10",
  "",
  null,
  true,
  [],
  {},
  () => 1,
  Symbol("odd"),
  10n,
  new Date(0),
];

describe.each(Object.keys(tunableRules))("%s", (name) => {
  const rule = tunableRules[name as keyof typeof tunableRules];
  const wrong = nonsense.filter((value) => !rule.accepts(value));

  test("takes no nonsense, at the start and while running, and says what it expects", () => {
    expect(wrong.length).toBeGreaterThanOrEqual(nonsense.length - 2);
    const batcher = new BatchProcessor<number, number>(echo);
    const before = batcher.stats();
    for (const value of wrong)
      for (const set of [
        () => new BatchProcessor(echo, { [name]: value }),
        () => batcher.tune({ [name]: value }),
      ]) {
        expect(set).toThrow(BatcherOptionError);
        expect(set).toThrow(expect.objectContaining({ code: "BATCHER_OPTION", option: name }));
        expect(set).toThrow(/: expected an? .+, got /);
      }
    expect(batcher.stats()).toEqual(before);
  });
});

test.each([
  ["maxBatchSize", 0, 1, 1_000_000, 1_000_001],
  ["maxConcurrentBatches", 0, 1, 10_000, 10_001],
  ["queueLimit", 0, 1, 100_000_000, 100_000_001],
  ["maxAttempts", 0, 1, 100, 101],
  ["lingerMs", -0.001, 0, 60_000, 60_001],
  ["retryBudgetRatio", -0.001, 0, 1, 1.001],
  ["batchTimeoutMs", 0.9, 1, 2_147_483_647, 2_147_483_648],
] as const)("%s: %d and %4$d are refused, %d and %d are not", (name, below, least, most, above) => {
  for (const value of [least, most])
    expect(new BatchProcessor(echo, { [name]: value })).toBeInstanceOf(BatchProcessor);
  for (const value of [below, above])
    expect(() => new BatchProcessor(echo, { [name]: value })).toThrow(BatcherOptionError);
});

describe("arguments", () => {
  const batcher = new BatchProcessor<number, number>(echo);
  const anything = batcher as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;

  test.each<[string, unknown[]]>([
    ["add", [1, null]],
    ["add", [1, 5]],
    ["add", [1, "high"]],
    ["add", [1, { deadline: 5 }]],
    ["add", [1, { priority: 1.5 }]],
    ["add", [1, { priority: 101 }]],
    ["add", [1, { priority: "1" }]],
    ["add", [1, { deadlineMs: Number.NaN }]],
    ["add", [1, { deadlineMs: Infinity }]],
    ["add", [1, { deadlineMs: -1 }]],
    ["add", [1, { key: 1 }]],
    ["add", [1, { dedupeKey: {} }]],
    ["add", [1, { signal: { aborted: false } }]],
    ["add", [1, { signal: null }]],
    ["processBatch", []],
    ["processBatch", [null]],
    ["processBatch", ["abc"]],
    ["processBatch", [new Set([1])]],
    ["processBatch", [{ length: 1 }]],
    ["processBatch", [[1], null]],
    ["processBatch", [[1], "echo"]],
    ["processBatch", [[1], undefined, null]],
    ["processBatch", [[1], undefined, { onprogress: () => undefined }]],
    ["processBatch", [[1], undefined, { onProgress: 1 }]],
    ["processBatch", [[1], undefined, { signal: 1 }]],
  ])("%s(...%j) rejects with BATCHER_OPTION and takes nothing", async (method, args) => {
    const { accepted } = batcher.stats();
    await expect(anything[method]?.(...args)).rejects.toMatchObject({ code: "BATCHER_OPTION" });
    expect(batcher.stats()).toMatchObject({ accepted, queuedItems: 0 });
  });

  test.each<[string, unknown[]]>([
    ["stream", []],
    ["stream", [1]],
    ["stream", [{}]],
    ["stream", [[1], null]],
    ["stream", [[1], { window: 1 }]],
    ["stream", [[1], { windowItems: 0 }]],
    ["stream", [[1], { windowItems: Number.NaN }]],
    ["stream", [[1], { signal: "x" }]],
    ["tune", [null]],
    ["tune", [5]],
    ["tune", [{ maxBatchsize: 1 }]],
    ["tune", [{ idempotent: true }]],
    ["on", ["batches", () => undefined]],
    ["on", ["batch", 5]],
    ["on", [undefined, undefined]],
    ["off", ["batch"]],
  ])("%s(...%j) throws BATCHER_OPTION", (method, args) => {
    expect(() => anything[method]?.(...args)).toThrow(
      expect.objectContaining({ code: "BATCHER_OPTION" }),
    );
  });

  test("undefined counts as not given", async () => {
    expect(await batcher.add(1, undefined)).toBe(1);
    const options = { priority: undefined, deadlineMs: undefined, signal: undefined };
    expect(await batcher.add(1, { ...options, key: undefined, dedupeKey: undefined })).toBe(1);
    const none = { onProgress: undefined, signal: undefined };
    expect(await batcher.processBatch([1], undefined, none)).toHaveLength(1);
  });

  test("empty and odd items are items", async () => {
    expect(await batcher.processBatch([])).toEqual([]);
    const items = [undefined, null, Number.NaN, 0, "", {}] as unknown as number[];
    const results = await batcher.processBatch(items);
    expect(results).toEqual(items.map((value) => ({ status: "fulfilled", value })));
  });

  test("a list that is changed while it is processed does not change what is processed", async () => {
    const items = range(250);
    const all = batcher.processBatch(items);
    items.length = 0;
    items.push(7);
    const results = await all;
    expect(results.map((result) => result.status === "fulfilled" && result.value)).toEqual(
      range(250),
    );
  });
});

test.each([0, -5, Number.NaN, Infinity, "10", undefined])(
  "a controller that answers with a size or a concurrency of %s is held to 1 or the limits",
  async (value) => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, {
      maxBatchSize: 4,
      maxConcurrentBatches: 2,
      controller: {
        next: () => ({ size: value, concurrency: value, lingerMs: value }) as never,
        record: () => undefined,
      },
    });
    const all = batcher.processBatch(range(8));
    for (let call = 0; call < 8 && batcher.stats().settled.fulfilled < 8; call++) {
      await turn();
      expect(backend.running).toBeLessThanOrEqual(2);
      for (const { answer, items } of backend.calls.slice(-backend.running)) answer([...items]);
      await turn();
    }
    expect(await all).toHaveLength(8);
    expect(Math.max(...backend.sizes)).toBeLessThanOrEqual(4);
  },
);

test("a wrong start of the adaptive controller does not hang", () => {
  const home = { size: Number.NaN, concurrency: 0, lingerMs: -1 };
  const controller = new AdaptiveController({ maxBatchSize: 10, maxConcurrentBatches: 2, home });
  expect(new BatchProcessor(echo, { controller }).stats().sizeLimit).toBe(100);
});
