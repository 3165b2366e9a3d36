import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { mostPassed } from "../src/lanes.ts";
import { ManualBackend, range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const echo = async (items: readonly number[]) => [...items];

function setUp(options: BatchProcessorOptions<number>) {
  const time = new VirtualTime();
  const backend = new ManualBackend<number, number>();
  const timing = { now: time.now, timers: time, adaptiveSizing: false };
  return {
    backend,
    batcher: new BatchProcessor(backend.process, { ...timing, ...options }),
    time,
  };
}

function answerAll({ calls }: ManualBackend<number, number>, from: number): void {
  for (const { items, answer } of calls.slice(from)) answer([...items]);
}

describe("turns of processors", () => {
  test("a partial batch of one is served while full ones of another never end", async () => {
    const { backend, batcher } = setUp({ maxBatchSize: 2, maxConcurrentBatches: 1 });
    const others: number[][] = [];
    void batcher.processBatch(range(1_000));
    await turn();
    const few = range(3).map((lane) =>
      batcher.processBatch([lane], async (items) => {
        others.push([...items]);
        return [...items];
      }),
    );
    for (let call = 0; call < mostPassed; call++) {
      expect(others).toEqual([]);
      answerAll(backend, call);
      await turn();
    }
    answerAll(backend, mostPassed);
    await Promise.all(few);
    expect(others).toEqual([[0], [1], [2]]);
    expect(backend.calls.length).toBeLessThanOrEqual(mostPassed + 2);
  });

  test("items from inside a call are served although full batches of others never end", async () => {
    const hold = Promise.withResolvers<void>();
    const order: number[] = [];
    const batcher: BatchProcessor<number, number> = new BatchProcessor(
      async (items) => {
        order.push(...items);
        if (items.includes(-1)) for (const item of [-2, -3]) await batcher.add(item);
        if (items.includes(-4)) await hold.promise;
        return [...items];
      },
      { maxBatchSize: 2, maxConcurrentBatches: 2, adaptiveSizing: false },
    );
    const first = batcher.processBatch([-1, -5]);
    const flood = batcher.processBatch(range(1_000));
    await first;
    expect(order.indexOf(-3)).toBeLessThan(100);
    await flood;
  });
});

describe("linger", () => {
  test("a lone item goes at once while more than one slot is idle", async () => {
    const { backend, batcher } = setUp({ lingerMs: 200, maxConcurrentBatches: 3 });
    void batcher.add(1);
    await turn();
    void batcher.add(2);
    await turn();
    void batcher.add(3);
    await turn();
    expect(backend.sizes).toEqual([1, 1]);
  });

  test("a batch that lingers goes in time although others are dispatched meanwhile", async () => {
    const { backend, batcher, time } = setUp({
      lingerMs: 50,
      maxBatchSize: 2,
      maxConcurrentBatches: 2,
    });
    const other = new ManualBackend<number, number>();
    void batcher.processBatch([1, 2]);
    await turn();
    void batcher.processBatch([3], other.process);
    for (const call of range(2)) {
      await time.advance(20);
      void batcher.processBatch([1, 2]);
      await turn();
      backend.call(call).answer([1, 2]);
    }
    await time.advance(9);
    expect(other.sizes).toEqual([]);
    await time.advance(1);
    expect(other.sizes).toEqual([1]);
  });

  test.each<[string, (abort: AbortController, backend: ManualBackend<number, number>) => void]>([
    ["was dispatched", (_, backend) => answerAll(backend, 0)],
    ["was left by all", (abort) => abort.abort()],
  ])("no timer is left when what lingered %s", async (_, end) => {
    const { backend, batcher, time } = setUp({
      lingerMs: 4_000,
      maxConcurrentBatches: 2,
      batchTimeoutMs: 100_000,
    });
    const abort = new AbortController();
    const first = batcher.add(1);
    await turn();
    const second = batcher.add(2, { signal: abort.signal }).catch(() => 0);
    await turn();
    end(abort, backend);
    await turn();
    answerAll(backend, 0);
    await Promise.all([first, second, batcher.drain()]);
    expect(time.armed).toBe(0);
  });
});

test("the event loop turns while a processor that answers from memory works off a long queue", async () => {
  const batcher = new BatchProcessor<number, number>(echo, {
    maxBatchSize: 10,
    adaptiveSizing: false,
  });
  const seen = { over: false, turns: 0 };
  const counting = (async () => {
    for (; !seen.over; seen.turns++) await turn();
  })();
  await batcher.processBatch(range(10_000));
  seen.over = true;
  await counting;
  expect(seen.turns).toBeGreaterThanOrEqual(1_000 / 64 - 1);
});

describe("drain", () => {
  test("rejects when the batcher is paused while it waits", async () => {
    const { batcher } = setUp({ maxBatchSize: 1, maxConcurrentBatches: 1 });
    for (const item of range(3)) void batcher.add(item);
    await turn();
    const drained = batcher.drain();
    batcher.pause();
    await expect(drained).rejects.toMatchObject({ code: "BATCHER_PAUSED" });
  });

  test("rejects when items come while it waits for the last calls of a paused batcher", async () => {
    const { backend, batcher } = setUp({});
    void batcher.add(1);
    await turn();
    batcher.pause();
    const drained = batcher.drain();
    void batcher.add(2);
    await expect(drained).rejects.toMatchObject({ code: "BATCHER_PAUSED" });
    batcher.resume();
    await turn();
    answerAll(backend, 0);
    await batcher.drain();
  });

  test("of a paused batcher ends with its last call, and close is not disturbed by a pause", async () => {
    const { backend, batcher } = setUp({});
    void batcher.add(1);
    await turn();
    batcher.pause();
    const drained = batcher.drain();
    const closed = batcher.close();
    answerAll(backend, 0);
    expect(await Promise.all([drained, closed])).toEqual([undefined, undefined]);
  });
});
