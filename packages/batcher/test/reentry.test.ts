import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test, vi } from "vitest";
import { BatchClosedError, BatcherReentryError, BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const tight = { maxConcurrentBatches: 1, maxBatchSize: 2, adaptiveSizing: false };

/** Items of a tree: each asks the same batcher for the next level below, and adds up. */
function tree(how: "add" | "processBatch" | "stream", options: BatchProcessorOptions<number>) {
  const time = new VirtualTime();
  const batcher: BatchProcessor<number, number> = new BatchProcessor(
    async (items) => {
      await turn();
      return Promise.all(items.map(sum));
    },
    { ...tight, ...options, now: time.now, timers: time },
  );
  async function sum(depth: number): Promise<number> {
    if (depth === 0) return 1;
    const below = [depth - 1, depth - 1];
    if (how === "add") {
      const [one = 0, other = 0] = await Promise.all(below.map((each) => batcher.add(each)));
      return one + other;
    }
    const results = [];
    if (how === "processBatch") results.push(...(await batcher.processBatch(below)));
    else for await (const result of batcher.stream(below)) results.push(result);
    return results.reduce(
      (all, result) => all + (result.status === "fulfilled" ? result.value : 0),
      0,
    );
  }
  return { batcher, time };
}

test.each(["add", "processBatch", "stream"] as const)(
  "%s inside a processor does not wait for the slot of its own call, however deep",
  async (how) => {
    const { batcher, time } = tree(how, {});
    expect(await Promise.all([5, 5, 5].map((depth) => batcher.add(depth)))).toEqual([32, 32, 32]);
    await batcher.drain();
    expect(batcher.stats()).toMatchObject({ runningBatches: 0, queuedItems: 0 });
    expect(batcher.stats().batches.timeout).toBe(0);
    expect(time.now()).toBe(0);
  },
);

test("nested items find room when the queue is full of others", async () => {
  const { batcher } = tree("processBatch", { queueLimit: 2 });
  const results = await batcher.processBatch([3, 3, 3, 3, 3, 3, 3]);
  expect(results).toEqual(range(7).map(() => ({ status: "fulfilled", value: 8 })));
});

test("two batchers that ask each other do not wait for each other's slots", async () => {
  const one: BatchProcessor<number, number> = new BatchProcessor(
    ask(() => two),
    tight,
  );
  const two: BatchProcessor<number, number> = new BatchProcessor(
    ask(() => one),
    tight,
  );
  expect(await Promise.all([one.add(8), two.add(8), one.add(7)])).toEqual([8, 8, 7]);
});

test("items added from inside that nobody waits for use one slot of each depth, no more", async () => {
  let running = 0;
  let peak = 0;
  let left = 200;
  const batcher: BatchProcessor<number, number> = new BatchProcessor(async (items) => {
    peak = Math.max(peak, ++running);
    for (const item of items) if (left-- > 0) void batcher.add(item + 1);
    await turn();
    running -= 1;
    return [...items];
  }, tight);
  await batcher.processBatch(range(10));
  await batcher.drain();
  expect(batcher.stats().accepted).toBe(210);
  expect(peak).toBeLessThanOrEqual(1 + 8);
});

test("what a call leaves behind when it ends has no slot of its own any more", async () => {
  const late = Promise.withResolvers<number>();
  let running = 0;
  let peak = 0;
  const batcher: BatchProcessor<string, number> = new BatchProcessor(async ([item]) => {
    peak = Math.max(peak, ++running);
    if (item === "first")
      void turns(5)
        .then(() => batcher.add("late"))
        .then(late.resolve);
    await turns(item === "second" ? 20 : 1);
    running -= 1;
    return [running];
  }, tight);
  await batcher.add("first");
  const second = batcher.add("second");
  await Promise.all([late.promise, second]);
  expect(peak).toBe(1);
});

test("drain inside a processor is refused, close inside one returns at once", async () => {
  const seen: unknown[] = [];
  const batcher: BatchProcessor<number, number> = new BatchProcessor(async (items) => {
    seen.push(await batcher.drain().catch((error: unknown) => error));
    await batcher.close();
    seen.push(await batcher.add(1).catch((error: unknown) => error));
    return [...items];
  });
  expect(await batcher.add(7)).toBe(7);
  expect(seen).toEqual([expect.any(BatcherReentryError), expect.any(BatchClosedError)]);
  await batcher.close();
});

test("add does not look for the call it is in while no call is under way", async () => {
  const batcher = new BatchProcessor<number, number>(async (items) => [...items]);
  await batcher.add(1);
  const looked = vi.spyOn(AsyncLocalStorage.prototype, "getStore");
  const before = looked.mock.calls.length;
  const second = batcher.add(1);
  const during = looked.mock.calls.length;
  looked.mockRestore();
  await second;
  expect(during - before).toBe(0);
});

async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await turn();
}

function ask(other: () => BatchProcessor<number, number>) {
  return (items: readonly number[]): Promise<number[]> =>
    Promise.all(items.map(async (item) => (item === 0 ? 0 : 1 + (await other().add(item - 1)))));
}
