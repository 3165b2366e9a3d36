import { describe, expect, test } from "vitest";
import { BatchItemError, BatchProcessor, BatchTimeoutError, classifyError } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { httpError, ManualBackend, range, watch } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

interface Backend {
  readonly calls: number[][];
  process(items: readonly number[]): Promise<number[]>;
}

function failingOn(isBad: (items: readonly number[]) => Error | undefined): Backend {
  const calls: number[][] = [];
  return {
    calls,
    process(items) {
      calls.push([...items]);
      const error = isBad(items);
      return error === undefined ? Promise.resolve([...items]) : Promise.reject(error);
    },
  };
}

function poisonOn(...poison: number[]): Backend {
  return failingOn((items) =>
    items.some((item) => poison.includes(item)) ? new Error("poison") : undefined,
  );
}

function batcherOf(backend: Backend, options: BatchProcessorOptions<number> = {}) {
  return new BatchProcessor<number, number>((items) => backend.process(items), {
    maxBatchSize: 256,
    adaptiveSizing: false,
    ...options,
  });
}

async function fates(batcher: BatchProcessor<number, number>, items: readonly number[]) {
  const results = await batcher.processBatch(items);
  return items.filter((_, index) => results[index]?.status === "rejected");
}

/** Refuses more than `most` items. */
function limit(most: number): Backend {
  return failingOn((items) => (items.length > most ? httpError(413) : undefined));
}

/** Fails that many times. */
function flaky(failures: number): Backend {
  let left = failures;
  return failingOn(() => (left-- > 0 ? httpError(503) : undefined));
}

describe("poison", () => {
  test("one poison item of 256 costs at most 15 calls, wherever it is", async () => {
    for (const bad of range(256)) {
      // The home of the adaptive controller is 100, so a fixed one is used for a batch of 256.
      const backend = poisonOn(bad);
      expect(await fates(batcherOf(backend, { idempotent: true }), range(256))).toEqual([bad]);
      expect(backend.calls.length).toBeLessThanOrEqual(15);
      expect(backend.calls.some((items) => items.length === 1 && items[0] === bad)).toBe(true);
    }
  });

  test("several poison items are all found and nothing else is blamed", async () => {
    const poison = [3, 4, 90, 91, 200];
    const backend = poisonOn(...poison);
    expect(await fates(batcherOf(backend, { idempotent: true }), range(256))).toEqual(poison);
  });

  test("the one to blame gets a BatchItemError with the processor's error as its cause", async () => {
    const batcher = batcherOf(poisonOn(2), { idempotent: true });
    const [, , bad] = await batcher.processBatch([0, 1, 2]);
    expect(bad).toMatchObject({ reason: expect.any(BatchItemError) });
    expect(bad).toMatchObject({ reason: { cause: { message: "poison" } } });
    const alone = await batcher.add(2).catch((error: unknown) => error);
    expect(alone).toBeInstanceOf(BatchItemError);
  });

  test("a batch that fails because of its company blames nobody", async () => {
    const backend = failingOn((items) =>
      items.includes(1) && items.includes(6) ? new Error("these two quarrel") : undefined,
    );
    expect(await fates(batcherOf(backend, { idempotent: true }), range(8))).toEqual([]);
  });

  test("an outage is not bisected to the last item", async () => {
    const outage = new Error("down");
    const backend = failingOn(() => outage);
    const batcher = batcherOf(backend, { idempotent: true });
    const results = await batcher.processBatch(range(256));
    expect(results.every(({ status }) => status === "rejected")).toBe(true);
    expect(backend.calls.length).toBeLessThanOrEqual(23);
    expect(results.at(-1)).toMatchObject({ reason: outage });
  });

  test("bad items that stand together cost their neighbours nothing, wherever they are", async () => {
    for (const count of [2, 3, 5, 20, 50])
      for (let from = 0; from + count <= 100; from += 7) {
        const poison = range(count, from);
        const batcher = batcherOf(poisonOn(...poison), { idempotent: true });
        expect(await fates(batcher, range(100))).toEqual(poison);
      }
  });

  test.each([2, 3, 4, 8])(
    "every %ith item bad costs hardly more than one by one",
    async (every) => {
      const poison = range(256).filter((item) => item % every === every - 1);
      const backend = poisonOn(...poison);
      expect(await fates(batcherOf(backend, { idempotent: true }), range(256))).toEqual(poison);
      expect(backend.calls.length).toBeLessThanOrEqual(256 + 24);
    },
  );

  test("an outage that begins in the middle of a search ends it after few more calls", async () => {
    let calls = 0;
    const down = new Error("down");
    const backend = failingOn((items) => (++calls > 5 || items.includes(200) ? down : undefined));
    const results = await batcherOf(backend, { idempotent: true }).processBatch(range(256));
    expect(results.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
    expect(backend.calls.length).toBeLessThanOrEqual(70);
  });

  test("a verdict other than poison for a single sample ends the search and blames nobody for it", async () => {
    const down = httpError(401);
    let calls = 0;
    const backend = failingOn(() => (++calls > 10 ? down : new Error("poison")));
    const results = await batcherOf(backend, { idempotent: true }).processBatch(range(256));
    expect(backend.calls).toHaveLength(11);
    const blamed = results.filter(
      (result) => result.status === "rejected" && result.reason instanceof BatchItemError,
    );
    expect(blamed).toHaveLength(1);
  });

  test("a fatal error in the middle of the search ends it", async () => {
    const backend = failingOn((items) => (items.length > 2 ? new Error("poison") : httpError(401)));
    const results = await batcherOf(backend, { idempotent: true }).processBatch(range(8));
    expect(results.every(({ status }) => status === "rejected")).toBe(true);
    expect(backend.calls.map(({ length }) => length)).toEqual([8, 4, 2]);
  });

  test("without idempotent the batch is called once and every item rejects with the cause", async () => {
    const backend = poisonOn(2);
    const batcher = batcherOf(backend);
    const results = await Promise.allSettled(range(4).map((item) => batcher.add(item)));
    expect(backend.calls).toHaveLength(1);
    for (const result of results) expect(result).toMatchObject({ reason: { message: "poison" } });
  });

  test("a search does not call for items that were aborted meanwhile", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { idempotent: true });
    const abort = new AbortController();
    const others = watch(batcher.processBatch([0, 1]));
    void batcher.add(2, { signal: abort.signal }).catch(() => undefined);
    await turn();
    abort.abort();
    backend.call(0).fail(new Error("poison"));
    await turn();
    backend.call(1).answer([0]);
    await turn();
    backend.call(2).answer([1]);
    await turn();
    expect(others.state).toBe("fulfilled");
    expect(backend.calls.map(({ items }) => items)).toEqual([[0, 1, 2], [0], [1]]);
  });
});

describe("too large", () => {
  test("a refused batch is split, idempotent or not, and the ceiling comes down", async () => {
    const backend = limit(30);
    const batcher = batcherOf(backend, { maxBatchSize: 100 });
    const splits: unknown[] = [];
    batcher.on("split", ({ size, reason }) => splits.push([size, reason]));
    expect(await fates(batcher, range(100))).toEqual([]);
    expect(backend.calls.map(({ length }) => length)).toEqual([100, 50, 25, 25, 50, 25, 25]);
    expect(splits).toEqual([
      [100, "too-large"],
      [50, "too-large"],
      [50, "too-large"],
    ]);
    expect(batcher.stats().sizeLimit).toBe(25);
    backend.calls.length = 0;
    expect(await fates(batcher, range(50))).toEqual([]);
    expect(backend.calls.map(({ length }) => length)).toEqual([25, 25]);
  });

  test("the ceiling is probed again after a while, less often each time it fails", async () => {
    const time = new VirtualTime();
    const backend = limit(30);
    const batcher = batcherOf(backend, { maxBatchSize: 60, now: time.now, timers: time });
    await batcher.processBatch(range(60));
    await turn();
    expect(batcher.stats().sizeLimit).toBe(30);
    await time.advance(30_000);
    expect(batcher.stats().sizeLimit).toBe(60);
    await batcher.processBatch(range(60));
    await turn();
    expect(batcher.stats().sizeLimit).toBe(30);
    await time.advance(30_000);
    expect(batcher.stats().sizeLimit).toBe(30);
    await time.advance(30_000);
    expect(batcher.stats().sizeLimit).toBe(60);
  });

  test("an item that is too large alone is to blame, its neighbours are not", async () => {
    const backend = failingOn((items) => (items.includes(3) ? httpError(413) : undefined));
    const batcher = batcherOf(backend);
    const results = await batcher.processBatch(range(8));
    expect(results.map(({ status }) => status === "rejected")).toEqual(
      range(8).map((item) => item === 3),
    );
    expect(results[3]).toMatchObject({
      reason: { code: "BATCHER_ITEM_FAILED", cause: { status: 413 } },
    });
  });

  test.each([
    ["alone", [3]],
    ["in company", range(100)],
  ])(
    "one item that is too large, sent %s, leaves the size of batches as it is",
    async (_, items) => {
      const backend = failingOn((batch) => (batch.includes(3) ? httpError(413) : undefined));
      const batcher = batcherOf(backend, { maxBatchSize: 100 });
      await batcher.processBatch(range(100, 1_000));
      expect(await fates(batcher, items)).toEqual([3]);
      await turn();
      expect(batcher.stats().sizeLimit).toBe(100);
    },
  );

  test("a limit is learned although an item in the same batch is too large on its own", async () => {
    const backend = failingOn((items) =>
      items.length > 30 || items.includes(3) ? httpError(413) : undefined,
    );
    const batcher = batcherOf(backend, { maxBatchSize: 100 });
    expect(await fates(batcher, range(100))).toEqual([3]);
    await turn();
    expect(batcher.stats().sizeLimit).toBe(25);
  });

  test("an item whose neighbours were aborted is not blamed for a call it was not alone in", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process);
    const abort = new AbortController();
    const kept = batcher.add(1);
    void batcher.add(2, { signal: abort.signal }).catch(() => undefined);
    await turn();
    abort.abort();
    backend.call(0).fail(httpError(413));
    await turn();
    expect(backend.call(1).items).toEqual([1]);
    backend.call(1).answer([1]);
    expect(await kept).toBe(1);
  });
});

describe("transient", () => {
  test("an idempotent batch is retried whole after a jittered, growing backoff", async () => {
    const time = new VirtualTime();
    const backend = flaky(2);
    const batcher = batcherOf(backend, {
      idempotent: true,
      random: () => 0.5,
      now: time.now,
      timers: time,
    });
    const retries: unknown[] = [];
    batcher.on("retry", ({ attempt, delayMs, size }) => retries.push([attempt, delayMs, size]));
    const seen = watch(batcher.processBatch(range(5)));
    await time.advance(49);
    expect(backend.calls).toHaveLength(1);
    await time.advance(1);
    expect(backend.calls).toHaveLength(2);
    await time.advance(100);
    expect(seen.state).toBe("fulfilled");
    expect(retries).toEqual([
      [2, 50, 5],
      [3, 100, 5],
    ]);
    expect(time.armed).toBe(0);
  });

  test("without idempotent it is not retried", async () => {
    const backend = flaky(1);
    expect(await fates(batcherOf(backend), range(3))).toEqual(range(3));
    expect(backend.calls).toHaveLength(1);
  });

  test("maxAttempts ends it, and the items reject with the last error", async () => {
    const backend = flaky(Infinity);
    const batcher = batcherOf(backend, { idempotent: true, maxAttempts: 2, retryBackoffMs: 0 });
    const error = await batcher.add(1).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 503 });
    expect(backend.calls).toHaveLength(2);
  });

  test("the retry budget bounds retries in an outage to its reserve and its share of the calls", async () => {
    const backend = flaky(Infinity);
    const batcher = batcherOf(backend, {
      idempotent: true,
      retryBackoffMs: 0,
      retryBudgetRatio: 0.1,
    });
    for (let call = 0; call < 100; call++) await batcher.add(call).catch(() => undefined);
    expect(batcher.stats().retries).toBeLessThanOrEqual(20);
    expect(batcher.stats().retries).toBeGreaterThanOrEqual(10);
    batcher.tune({ retryBudgetRatio: 0 });
    const { retries } = batcher.stats();
    await batcher.add(1).catch(() => undefined);
    expect(batcher.stats().retries).toBe(retries);
  });

  test("items aborted during the backoff are not sent again", async () => {
    const time = new VirtualTime();
    const backend = flaky(1);
    const batcher = batcherOf(backend, { idempotent: true, now: time.now, timers: time });
    const abort = new AbortController();
    const one = watch(batcher.add(1, { signal: abort.signal }));
    await turn();
    abort.abort();
    await time.advance(1_000);
    expect(one.state).toBe("rejected");
    expect(backend.calls).toHaveLength(1);
    expect(batcher.stats().runningBatches).toBe(0);
  });

  test("close ends a backoff at once and the items reject with the error", async () => {
    const time = new VirtualTime();
    const backend = flaky(5);
    const batcher = batcherOf(backend, {
      idempotent: true,
      now: time.now,
      timers: time,
      random: () => 1,
    });
    const one = watch(batcher.add(1));
    await turn();
    await batcher.close();
    expect(one.reason).toMatchObject({ status: 503 });
    expect(backend.calls).toHaveLength(1);
    expect(time.armed).toBe(0);
  });

  test("closing in the middle of a split or a search makes no further calls", async () => {
    for (const error of [httpError(413), new Error("poison")]) {
      const backend = new ManualBackend<number, number>();
      const batcher = new BatchProcessor(backend.process, { idempotent: true });
      const all = batcher.processBatch(range(4));
      await turn();
      backend.call(0).fail(error);
      await turn();
      const closed = batcher.close();
      backend.call(1).answer([0, 1]);
      await closed;
      expect(backend.calls).toHaveLength(2);
      expect((await all).map(({ status }) => status)).toEqual([
        "fulfilled",
        "fulfilled",
        "rejected",
        "rejected",
      ]);
    }
  });

  test("closing while the first call runs makes no further call when it fails", async () => {
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process, { idempotent: true });
    const one = watch(batcher.add(1));
    await turn();
    const closed = batcher.close();
    backend.call(0).fail(new Error("poison"));
    await closed;
    expect(one.reason).toMatchObject({ message: "poison" });
  });
});

describe("classify", () => {
  test("by status, by system code, else poison", () => {
    expect(classifyError(httpError(413))).toBe("too-large");
    expect(classifyError({ statusCode: 429 })).toBe("transient");
    expect(classifyError({ code: "ECONNRESET" })).toBe("transient");
    expect(classifyError(new BatchTimeoutError(1, 1))).toBe("transient");
    expect(classifyError(httpError(401))).toBe("fatal");
    expect(classifyError(new DOMException("x", "AbortError"))).toBe("fatal");
    expect(classifyError(new Error("x"))).toBe("poison");
    expect(classifyError("x")).toBe("poison");
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["answers nonsense", () => "perhaps"],
  ])("a classify that %s counts as fatal", async (_, classify) => {
    const backend = poisonOn(1);
    const batcher = batcherOf(backend, { idempotent: true, classify: classify as never });
    expect(await fates(batcher, range(4))).toEqual(range(4));
    expect(backend.calls).toHaveLength(1);
  });

  test("something that is no Error can be thrown and blamed", async () => {
    const batcher = new BatchProcessor<number, number>(() => Promise.reject("words"), {
      idempotent: true,
    });
    await expect(batcher.add(1)).rejects.toThrow("words");
  });
});
