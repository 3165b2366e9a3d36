import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import {
  BatchClosedError,
  BatchContractError,
  BatchDeadlineError,
  BatcherPausedError,
  BatchItemError,
  BatchItemTooLargeError,
  BatchOverloadError,
  BatchProcessor,
  BatchTimeoutError,
} from "../src/index.ts";
import { ManualBackend, range, watch } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const echo = (items: readonly number[]) => Promise.resolve([...items]);

describe("batch size optimisation", () => {
  test("items added in one tick go in one call, up to maxBatchSize", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { maxBatchSize: 10 });
    const results = range(25).map((item) => batcher.add(item));
    await turn();
    expect(backend.sizes).toEqual([10, 10, 5]);
    for (const { items, answer } of backend.calls) answer(items.map((item) => item * 2));
    expect(await Promise.all(results)).toEqual(range(25).map((item) => item * 2));
  });

  test("items added in the microtasks of one tick still go together", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process);
    const add = async (item: number) => {
      for (let hop = 0; hop < item; hop++) await Promise.resolve();
      return batcher.add(item);
    };
    void Promise.all(range(20).map(add));
    await turn();
    expect(backend.sizes).toEqual([20]);
  });

  test("a lone item does not linger when nothing is running", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, {
      lingerMs: 50,
      now: time.now,
      timers: time,
    });
    void batcher.add(1);
    await turn();
    expect(backend.sizes).toEqual([1]);
  });

  test("a partial batch lingers for company before it takes the last idle slot, and no longer than lingerMs", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = {
      lingerMs: 50,
      maxBatchSize: 10,
      maxConcurrentBatches: 2,
      now: time.now,
      timers: time,
    };
    const batcher = new BatchProcessor(backend.process, options);
    void batcher.add(1);
    await time.advance(1);
    void batcher.add(2);
    await time.advance(20);
    void batcher.add(3);
    await time.advance(29);
    expect(backend.sizes).toEqual([1]);
    await time.advance(1);
    expect(backend.sizes).toEqual([1, 2]);
  });

  test("a batch that fills up while it lingers goes at once", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = {
      lingerMs: 50,
      maxBatchSize: 3,
      maxConcurrentBatches: 2,
      now: time.now,
      timers: time,
    };
    const batcher = new BatchProcessor(backend.process, options);
    void batcher.add(1);
    await time.advance(1);
    for (const item of [2, 3, 4]) void batcher.add(item);
    await time.advance(0);
    expect(backend.sizes).toEqual([1, 3]);
    await time.advance(100);
    expect(backend.sizes).toEqual([1, 3]);
  });

  test("what a full batch leaves behind lingers anew from then on", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = {
      lingerMs: 50,
      maxBatchSize: 2,
      maxConcurrentBatches: 2,
      now: time.now,
      timers: time,
    };
    const batcher = new BatchProcessor(backend.process, { ...options, adaptiveSizing: false });
    void batcher.add(1);
    await turn();
    void batcher.add(2);
    await time.advance(30);
    void batcher.add(3);
    void batcher.add(4);
    await time.advance(0);
    expect(backend.sizes).toEqual([1, 2]);
    backend.call(0).answer([1]);
    await time.advance(49);
    expect(backend.sizes).toEqual([1, 2]);
    await time.advance(1);
    expect(backend.sizes).toEqual([1, 2, 1]);
  });

  test("a lingering batch goes when the last running batch ends", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, {
      lingerMs: 50,
      maxConcurrentBatches: 2,
      now: time.now,
      timers: time,
    });
    void batcher.add(1);
    await time.advance(1);
    void batcher.add(2);
    await time.advance(1);
    expect(backend.sizes).toEqual([1]);
    backend.call(0).answer([1]);
    await turn();
    expect(backend.sizes).toEqual([1, 1]);
  });
});

describe("parallel batch execution", () => {
  test("no more than maxConcurrentBatches run at once, and the next starts when one ends", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, {
      maxBatchSize: 2,
      maxConcurrentBatches: 3,
    });
    const all = batcher.processBatch(range(20));
    await turn();
    expect(backend.running).toBe(3);
    for (let index = 0; index < 10; index++) {
      const { answer, items } = backend.call(index);
      answer([...items]);
      await turn();
    }
    expect((await all).length).toBe(20);
    expect(backend.peak).toBe(3);
  });

  test("results keep the items' order when batches end in another order", async () => {
    const backend = new ManualBackend<number, string>();
    const batcher = new BatchProcessor(backend.process, { maxBatchSize: 2 });
    const all = batcher.processBatch(range(6));
    await turn();
    for (const { items, answer } of backend.calls.toReversed()) answer(items.map(String));
    expect((await all).map((result) => result.status === "fulfilled" && result.value)).toEqual(
      range(6).map(String),
    );
  });

  test("calls of different processors do not mix, and take turns", async () => {
    const one = new ManualBackend<number, number>();
    const other = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(one.process, { maxBatchSize: 2, maxConcurrentBatches: 2 });
    void batcher.processBatch(range(6));
    void batcher.processBatch(range(2, 100), other.process);
    await turn();
    expect(one.calls.map(({ items }) => items)).toEqual([[0, 1]]);
    expect(other.calls.map(({ items }) => items)).toEqual([[100, 101]]);
  });

  test("one item's failure does not fail its neighbours", async () => {
    const batcher = new BatchProcessor<number, number>(async (items) =>
      items.map((item) => {
        if (item === 1) return new BatchItemError("no such row");
        if (item === 2) return { status: "rejected" as const, reason: "gone" };
        return item === 3 ? { status: "fulfilled" as const, value: 30 } : item;
      }),
    );
    const results = await batcher.processBatch([0, 1, 2, 3]);
    expect(results).toEqual([
      { status: "fulfilled", value: 0 },
      { status: "rejected", reason: expect.objectContaining({ code: "BATCHER_ITEM_FAILED" }) },
      { status: "rejected", reason: "gone" },
      { status: "fulfilled", value: 30 },
    ]);
    expect(batcher.performanceHistory.at(-1)).toMatchObject({
      outcome: "partial",
      succeeded: 2,
      failed: 2,
    });
  });
});

describe("a processor that breaks its contract", () => {
  for (const [name, results] of [
    ["too few results", [1]],
    ["too many results", [1, 2, 3]],
    ["no array", undefined],
  ] as const)
    test(`${name}: every item of the batch is told, once`, async () => {
      const batcher = new BatchProcessor<number, number>(() => Promise.resolve(results as never), {
        idempotent: true,
      });
      const settled = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
      for (const result of settled)
        expect(result).toMatchObject({
          status: "rejected",
          reason: expect.any(BatchContractError),
        });
      expect(batcher.stats().batches.failed).toBe(1);
    });

  test("a synchronous throw rejects the items with what was thrown", async () => {
    const error = new Error("boom");
    const batcher = new BatchProcessor<number, number>(() => {
      throw error;
    });
    await expect(batcher.add(1)).rejects.toBe(error);
  });

  test("a processor that never settles is abandoned after batchTimeoutMs and its slot is free again", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = { maxConcurrentBatches: 1, batchTimeoutMs: 100, now: time.now, timers: time };
    const batcher = new BatchProcessor(backend.process, options);
    const first = watch(batcher.add(1));
    await time.advance(99);
    expect(first.state).toBe("pending");
    await time.advance(1);
    expect(first.reason).toBeInstanceOf(BatchTimeoutError);
    expect(backend.call(0).context.signal.aborted).toBe(true);
    const second = batcher.add(2);
    await turn();
    backend.call(0).answer([99]);
    backend.call(1).answer([2]);
    expect(await second).toBe(2);
    expect(batcher.stats().batches.timeout).toBe(1);
  });
});

describe("admission", () => {
  test("add is refused when the queue is full, with the time in which it would drain", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = {
      queueLimit: 4,
      maxBatchSize: 2,
      maxConcurrentBatches: 1,
      now: time.now,
      timers: time,
    };
    const batcher = new BatchProcessor(backend.process, { ...options, adaptiveSizing: false });
    const overloads: unknown[] = [];
    batcher.on("overload", (overload) => overloads.push(overload));
    void batcher.add(0);
    await time.advance(10);
    backend.call(0).answer([0]);
    await turn();
    for (const item of range(7)) {
      watch(batcher.add(item));
      await turn();
    }
    const refused = await batcher.add(7).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BatchOverloadError);
    expect(refused).toMatchObject({ code: "BATCHER_OVERLOAD", retryAfterMs: 40 });
    expect(overloads).toHaveLength(3);
    expect(batcher.stats()).toMatchObject({ queuedItems: 4, overloads: 3 });
  });

  test("bytes count as well, and one item that can never fit is told so", async () => {
    const backend = new ManualBackend<string, string>();
    const batcher = new BatchProcessor(backend.process, {
      sizeOf: (item) => item.length,
      queueMaxBytes: 10,
    });
    batcher.pause();
    void batcher.add("12345678");
    await expect(batcher.add("123")).rejects.toBeInstanceOf(BatchOverloadError);
    await expect(batcher.add("12345678901")).rejects.toBeInstanceOf(BatchItemTooLargeError);
    expect(batcher.stats().queuedBytes).toBe(8);
    batcher.resume();
    await turn();
    expect(batcher.stats().queuedBytes).toBe(0);
  });

  test("a sizeOf that answers nonsense or throws refuses the item only", async () => {
    const batcher = new BatchProcessor<number, number>(echo, {
      sizeOf: (item) => {
        if (item === 2) throw new Error("no size");
        return item === 1 ? Number.NaN : 1;
      },
    });
    await expect(batcher.add(1)).rejects.toMatchObject({ code: "BATCHER_OPTION" });
    await expect(batcher.add(2)).rejects.toThrow("no size");
    expect(await batcher.processBatch([1, 2, 3])).toMatchObject([
      { status: "rejected" },
      { status: "rejected" },
      { status: "fulfilled", value: 3 },
    ]);
  });

  test("processBatch larger than the queue waits for room, and is first in line for it", async () => {
    const batcher = new BatchProcessor<number, number>(echo, { queueLimit: 10, maxBatchSize: 5 });
    const all = batcher.processBatch(range(1_000));
    await expect(batcher.add(-1)).rejects.toBeInstanceOf(BatchOverloadError);
    const results = await all;
    expect(results.map((result) => result.status === "fulfilled" && result.value)).toEqual(
      range(1_000),
    );
    await batcher.drain();
    expect(batcher.stats()).toMatchObject({ queuedItems: 0, runningItems: 0, accepted: 1_000 });
  });

  test("a wrong argument rejects with what was expected", async () => {
    const batcher = new BatchProcessor<number, number>(echo);
    const wrong = [
      batcher.add(1, { priority: 1.5 }),
      batcher.add(1, { deadlineMs: -1 }),
      batcher.add(1, { key: 3 as never }),
      batcher.add(1, { signal: {} as never }),
      batcher.processBatch("abc" as never),
      batcher.processBatch([1], 7 as never),
      batcher.processBatch([1], echo, { onProgress: 1 as never }),
    ];
    for (const promise of wrong)
      await expect(promise).rejects.toMatchObject({ code: "BATCHER_OPTION" });
    expect(() => batcher.stream(1 as never)).toThrow("source: expected an iterable");
    expect(() => batcher.stream([1], { windowItems: 0 })).toThrow("windowItems");
  });
});

describe("order", () => {
  test("higher priorities go first, first come first within", async () => {
    const backend = new ManualBackend<string, string>();
    const batcher = new BatchProcessor(backend.process, {
      maxBatchSize: 2,
      maxConcurrentBatches: 1,
    });
    batcher.pause();
    void batcher.add("low", { priority: -1 });
    void batcher.add("a");
    void batcher.add("b");
    void batcher.add("high", { priority: 5 });
    batcher.resume();
    await turn();
    backend.call(0).answer(["high", "a"]);
    await turn();
    expect(backend.calls.map(({ items }) => items)).toEqual([
      ["high", "a"],
      ["b", "low"],
    ]);
  });

  test("an item that cannot make its deadline is dropped before dispatch, but not on a stale estimate", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { now: time.now, timers: time });
    const first = batcher.add(1);
    await time.advance(100);
    backend.call(0).answer([1]);
    await first;
    const late = await batcher.add(2, { deadlineMs: 50 }).catch((error: unknown) => error);
    expect(late).toBeInstanceOf(BatchDeadlineError);
    expect(late).toMatchObject({ dispatched: false });
    expect(backend.calls).toHaveLength(1);
    await time.advance(10_000);
    const again = batcher.add(3, { deadlineMs: 50 });
    await turn();
    backend.call(1).answer([3]);
    expect(await again).toBe(3);
    expect(time.armed).toBe(0);
  });

  test("a deadline that passes in the queue or in a running batch rejects on time", async () => {
    const time = new VirtualTime();
    const backend = new ManualBackend<number, number>();
    const options = { maxBatchSize: 1, maxConcurrentBatches: 1, now: time.now, timers: time };
    const batcher = new BatchProcessor(backend.process, options);
    const running = watch(batcher.add(1, { deadlineMs: 20 }));
    const queued = watch(batcher.add(2, { deadlineMs: 10 }));
    await time.advance(10);
    expect(running.state).toBe("pending");
    await time.advance(10);
    expect(running.reason).toMatchObject({ code: "BATCHER_DEADLINE" });
    expect(queued.reason).toMatchObject({ code: "BATCHER_DEADLINE" });
    expect(backend.call(0).context.signal.aborted).toBe(true);
    expect(batcher.stats().settled.expired).toBe(2);
  });
});

test("drain ends when the last items were dropped before dispatch", async () => {
  const time = new VirtualTime();
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, { now: time.now, timers: time });
  const dropped = watch(batcher.add(1, { deadlineMs: 0 }));
  const drained = watch(batcher.drain());
  await turn();
  expect([dropped.state, drained.state]).toEqual(["rejected", "fulfilled"]);
  expect(backend.calls).toEqual([]);
});

describe("abort", () => {
  test("a queued item leaves the queue at once, and its listener with it", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process);
    batcher.pause();
    const abort = new AbortController();
    const aborted = watch(batcher.add(1, { signal: abort.signal }));
    void batcher.add(2);
    abort.abort(new Error("left"));
    expect(batcher.stats()).toMatchObject({ queuedItems: 1, settled: { aborted: 1 } });
    batcher.resume();
    await turn();
    expect(aborted.reason).toMatchObject({ message: "left" });
    expect(backend.call(0).items).toEqual([2]);
  });

  test("an item of a running batch rejects at once; the batch is aborted when nobody is left", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process);
    const one = new AbortController();
    const other = new AbortController();
    const results = [
      watch(batcher.add(1, { signal: one.signal })),
      watch(batcher.add(2, { signal: other.signal })),
    ];
    await turn();
    one.abort();
    await turn();
    expect(results.map(({ state }) => state)).toEqual(["rejected", "pending"]);
    expect(backend.call(0).context.signal.aborted).toBe(false);
    other.abort();
    expect(backend.call(0).context.signal.aborted).toBe(true);
    backend.call(0).answer([1, 2]);
    await batcher.drain();
    expect(batcher.stats().settled).toMatchObject({ aborted: 2, fulfilled: 0 });
  });

  test("an already aborted signal never enters the queue", async () => {
    const batcher = new BatchProcessor<number, number>(echo);
    const signal = AbortSignal.abort(new Error("early"));
    await expect(batcher.add(1, { signal })).rejects.toThrow("early");
    expect(await batcher.processBatch([1, 2], undefined, { signal })).toMatchObject([
      { status: "rejected", reason: { message: "early" } },
      { status: "rejected", reason: { message: "early" } },
    ]);
    expect(batcher.stats().accepted).toBe(0);
  });

  test("aborting processBatch settles every item, entered or not, and tells progress to the end", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { queueLimit: 4, maxBatchSize: 2 });
    const abort = new AbortController();
    const progress: number[] = [];
    const all = batcher.processBatch(range(50), undefined, {
      signal: abort.signal,
      onProgress: (done) => progress.push(done),
    });
    await turn();
    backend.call(0).answer([0, 1]);
    await turn();
    abort.abort(new Error("stop"));
    const results = await all;
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(results).toHaveLength(50);
    expect(progress.at(-1)).toBe(50);
    expect(batcher.stats().queuedItems).toBe(0);
  });
});

test("a signal keeps no listener of what has settled", async () => {
  const batcher = new BatchProcessor<number, number>(echo);
  const { signal } = new AbortController();
  await batcher.add(1, { signal });
  await batcher.processBatch(range(5), undefined, { signal });
  for await (const result of batcher.stream(range(5), { signal }))
    expect(result.status).toBe("fulfilled");
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("progress", () => {
  test("partial progress of the processor counts once and never goes back", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { maxBatchSize: 4 });
    const progress: [number, number][] = [];
    const all = batcher.processBatch(range(8), undefined, {
      onProgress: (done, total) => progress.push([done, total]),
    });
    await turn();
    const [first, second] = backend.calls;
    first?.context.progress(3);
    first?.context.progress(2);
    first?.context.progress(Number.NaN);
    await turn();
    first?.answer([0, 1, 2, 3]);
    await turn();
    second?.context.progress(100);
    second?.answer([4, 5, 6, 7]);
    await all;
    second?.context.progress(1);
    expect(progress).toEqual([
      [3, 8],
      [4, 8],
      [8, 8],
    ]);
  });

  test("an onProgress that throws does not break the batch", async () => {
    const warned = Promise.withResolvers<Error>();
    process.once("warning", warned.resolve);
    const batcher = new BatchProcessor<number, number>(echo);
    const results = await batcher.processBatch([1], undefined, {
      onProgress: () => {
        throw new Error("progress broke");
      },
    });
    expect(results).toEqual([{ status: "fulfilled", value: 1 }]);
    expect((await warned.promise).message).toBe("progress broke");
  });
});

describe("life cycle", () => {
  test("pause holds items, resume lets them go, drain refuses to wait for what cannot end", async () => {
    const batcher = new BatchProcessor<number, number>(echo);
    batcher.pause();
    const result = batcher.add(1);
    await expect(batcher.drain()).rejects.toBeInstanceOf(BatcherPausedError);
    expect(batcher.stats().state).toBe("paused");
    batcher.resume();
    await batcher.drain();
    expect(await result).toBe(1);
    expect(batcher.stats().state).toBe("open");
  });

  test("close rejects what is queued or waiting, and lets running calls finish", async () => {
    const backend = new ManualBackend<number, number>();
    const options = { maxBatchSize: 2, maxConcurrentBatches: 1, queueLimit: 3 };
    const batcher = new BatchProcessor(backend.process, options);
    const all = batcher.processBatch(range(8));
    await turn();
    const closed = watch(batcher.close());
    await turn();
    expect(closed.state).toBe("pending");
    await expect(batcher.add(9)).rejects.toBeInstanceOf(BatchClosedError);
    backend.call(0).answer([0, 1]);
    const results = await all;
    await turn();
    expect(closed.state).toBe("fulfilled");
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      ...Array.from({ length: 6 }, () => "rejected"),
    ]);
    expect(results[7]).toMatchObject({ reason: { code: "BATCHER_CLOSED" } });
    expect(await batcher.processBatch([1])).toMatchObject([{ reason: { code: "BATCHER_CLOSED" } }]);
    await batcher.close();
    expect(batcher.stats().state).toBe("closed");
  });

  test("await using closes it", async () => {
    let kept: BatchProcessor<number, number>;
    {
      await using batcher = new BatchProcessor<number, number>(echo);
      kept = batcher;
      expect(await batcher.add(1)).toBe(1);
    }
    expect(kept.stats().state).toBe("closed");
  });

  test("tune changes limits while running, and adaptive sizing can be switched off", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, {
      maxBatchSize: 2,
      maxConcurrentBatches: 1,
    });
    void batcher.processBatch(range(10));
    await turn();
    expect(backend.sizes).toEqual([2]);
    batcher.tune({ maxBatchSize: 5, maxConcurrentBatches: 2, adaptiveSizing: false });
    await turn();
    expect(backend.sizes).toEqual([2, 5]);
    expect(batcher.stats()).toMatchObject({ sizeLimit: 5, concurrencyLimit: 2, controller: {} });
    expect(() => batcher.tune({ maxBatchSize: 0 })).toThrow("maxBatchSize");
    expect(() => batcher.tune({ controller: {} } as never)).toThrow("unknown option");
    expect(batcher.stats().sizeLimit).toBe(5);
  });

  test("a larger queueLimit lets waiting items in", async () => {
    const batcher = new BatchProcessor<number, number>(echo, { queueLimit: 1 });
    batcher.pause();
    void batcher.processBatch(range(5));
    expect(batcher.stats().queuedItems).toBe(1);
    batcher.tune({ queueLimit: 4 });
    expect(batcher.stats().queuedItems).toBe(4);
  });
});

describe("events", () => {
  test("a listener that throws breaks neither the work nor the other listeners", async () => {
    const warned = Promise.withResolvers<Error>();
    process.once("warning", warned.resolve);
    const batcher = new BatchProcessor<number, number>(echo);
    const seen: number[] = [];
    const count = ({ size }: { size: number }) => seen.push(size);
    batcher.on("batch", () => {
      throw new Error("listener broke");
    });
    batcher.on("batch", count);
    expect(batcher.listenerCount("batch")).toBe(2);
    expect(await batcher.add(1)).toBe(1);
    batcher.off("batch", count);
    expect(await batcher.add(2)).toBe(2);
    expect(seen).toEqual([1]);
    expect((await warned.promise).message).toBe("listener broke");
  });

  test("the history holds the last historyLimit calls, oldest first", async () => {
    const batcher = new BatchProcessor<number, number>(echo, { historyLimit: 3 });
    for (const item of range(5)) await batcher.add(item);
    expect(batcher.performanceHistory.map(({ batchId }) => batchId)).toEqual([3, 4, 5]);
  });
});
