import { assert, double, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { KeyShares } from "../src/key-shares.ts";
import { ManualBackend, range, watch } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

function setUp(options: BatchProcessorOptions<number> = {}) {
  const time = new VirtualTime();
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, {
    now: time.now,
    timers: time,
    adaptiveSizing: false,
    maxBatchSize: 10,
    maxConcurrentBatches: 1,
    ...options,
  });
  return { backend, batcher, time };
}

async function serveAll(backend: ManualBackend<number, number>): Promise<void> {
  for (let call = 0; call < backend.calls.length; call++) {
    const { items, answer } = backend.call(call);
    answer([...items]);
    await turn();
  }
}

describe("one key's share of the queue", () => {
  test("a greedy key leaves room for one that has nothing queued yet", async () => {
    const { batcher } = setUp({ queueLimit: 100 });
    batcher.pause();
    const greedy = range(500).map((item) => watch(batcher.add(item, { key: "greedy" })));
    const modest = watch(batcher.add(-1, { key: "modest" }));
    await turn();
    expect(greedy.filter(({ state }) => state === "pending")).toHaveLength(90);
    expect(greedy.at(-1)?.reason).toMatchObject({
      code: "BATCHER_OVERLOAD",
      message: expect.stringContaining("queueLimit = 100, of which a key may hold 0.9"),
    });
    expect(modest.state).toBe("pending");
  });

  test("items without a key, and a share of 1, may fill it", async () => {
    for (const [options, key] of [
      [{ queueLimit: 100 }, undefined],
      [{ queueLimit: 100, queueKeyShare: 1 }, "only"],
    ] as const) {
      const { batcher } = setUp(options);
      batcher.pause();
      for (const item of range(150)) void batcher.add(item, { key }).catch(() => undefined);
      expect(batcher.stats().queuedItems).toBe(100);
    }
  });

  test("it counts bytes where they are known", async () => {
    const { batcher } = setUp({ queueMaxBytes: 1_000, sizeOf: () => 100 });
    batcher.pause();
    for (const item of range(20)) void batcher.add(item, { key: "a" }).catch(() => undefined);
    expect(batcher.stats().queuedBytes).toBe(900);
    void batcher.add(1, { key: "b" });
    expect(batcher.stats().queuedBytes).toBe(1_000);
  });

  test("what is dispatched, aborted or dropped gives it back", async () => {
    const { backend, batcher, time } = setUp({ queueLimit: 10 });
    const abort = new AbortController();
    for (let round = 0; round < 3; round++) {
      batcher.pause();
      for (const item of range(3)) void batcher.add(item, { key: "a" });
      for (const { signal, deadlineMs } of [
        ...range(3).map(() => ({ signal: AbortSignal.any([abort.signal]), deadlineMs: 9_999 })),
        ...range(3).map(() => ({ signal: abort.signal, deadlineMs: 10 })),
      ])
        void batcher.add(1, { key: "a", signal, deadlineMs }).catch(() => undefined);
      expect(batcher.stats().queuedItems).toBe(9);
      await expect(batcher.add(1, { key: "a" })).rejects.toMatchObject({
        code: "BATCHER_OVERLOAD",
      });
      await time.advance(10);
      expect(batcher.stats().queuedItems).toBe(6);
      batcher.resume();
      await turn();
      await serveAll(backend);
      await batcher.drain();
    }
  });

  test("a processBatch whose key is at its share waits, and does not hold up others", async () => {
    const { backend, batcher } = setUp({ queueLimit: 20 });
    const greedy = batcher.processBatch(range(200), undefined, { key: "greedy" });
    const modest = batcher.processBatch([1_000, 1_001], undefined, { key: "modest" });
    await turn();
    const order: number[] = [];
    void modest.then(() => order.push(backend.calls.length));
    await serveAll(backend);
    expect((await greedy).every(({ status }) => status === "fulfilled")).toBe(true);
    await modest;
    expect(order[0]).toBeLessThanOrEqual(4);
  });

  test("however many keys take all they may, there is room for a new one, and the bound is never zero", () => {
    expect(() =>
      assert(
        property(
          integer({ min: 30, max: 2_000 }),
          integer({ min: 1, max: 3 }),
          double({ min: 0.5, max: 0.9, noNaN: true }),
          (limit, keys, share) => {
            const shares = new KeyShares();
            let items = 0;
            const admits = (key: string) =>
              items < limit &&
              shares.admits(key, 0, share, { items, bytes: 0 }, { items: limit, bytes: 1 });
            for (let round = 0; round < limit; round++)
              for (const key of range(keys).map(String))
                if (admits(key)) {
                  shares.add(key, 0);
                  items += 1;
                }
            return admits("new") && items >= keys;
          },
        ),
      ),
    ).not.toThrow();
  });
});

describe("processBatch and stream", () => {
  test("take a priority and a key", async () => {
    const { backend, batcher } = setUp({ maxBatchSize: 2 });
    batcher.pause();
    void batcher.processBatch([1, 2], undefined, { key: "a" });
    void batcher.processBatch([3, 4], undefined, { key: "b" });
    void batcher.processBatch([5, 6], undefined, { priority: 1 });
    const stream = batcher.stream([7, 8], { priority: 2 })[Symbol.asyncIterator]();
    void stream.next();
    await turn();
    batcher.resume();
    await turn();
    await serveAll(backend);
    expect(backend.calls.map(({ items }) => items)).toEqual([
      [7, 8],
      [5, 6],
      [1, 3],
      [2, 4],
    ]);
  });

  test("processBatch keeps its deadline for what is running, queued or waiting for room", async () => {
    const { backend, batcher, time } = setUp({ queueLimit: 2, maxBatchSize: 2 });
    const results = batcher.processBatch(range(10), undefined, { deadlineMs: 50 });
    await time.advance(10);
    backend.call(0).answer([0, 1]);
    await time.advance(40);
    const settled = await results;
    expect(settled.slice(0, 2).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    for (const [index, result] of settled.slice(2).entries())
      expect(result).toMatchObject({
        reason: { code: "BATCHER_DEADLINE", dispatched: index < 2 },
      });
    backend.call(1).answer([2, 3]);
    await turn();
    expect(time.armed).toBe(0);
    expect(batcher.stats().queuedItems).toBe(0);
  });

  test("stream keeps the deadline of each item, from when it was read", async () => {
    const { backend, batcher, time } = setUp({ queueLimit: 1, maxBatchSize: 1 });
    const seen: unknown[] = [];
    const done = (async () => {
      for await (const result of batcher.stream(range(4), { deadlineMs: 50 })) seen.push(result);
    })();
    await time.advance(20);
    backend.call(0).answer([0]);
    await time.advance(200);
    await done;
    expect(seen).toMatchObject([
      { value: 0 },
      { reason: { code: "BATCHER_DEADLINE", dispatched: true } },
      { reason: { code: "BATCHER_DEADLINE", dispatched: false } },
      { reason: { code: "BATCHER_DEADLINE", dispatched: false } },
    ]);
    expect(batcher.stats().queuedItems).toBe(0);
  });

  test.each([{ key: 1 }, { priority: 1.5 }, { deadlineMs: -1 }])("refuse %j", async (options) => {
    const { batcher } = setUp();
    await expect(batcher.processBatch([1], undefined, options as never)).rejects.toMatchObject({
      code: "BATCHER_OPTION",
    });
    expect(() => batcher.stream([1], options as never)).toThrow("expected");
  });
});
