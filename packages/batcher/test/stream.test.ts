import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { ManualBackend, range, watch } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

const echo = (items: readonly number[]) => Promise.resolve([...items]);

async function collect<V>(source: AsyncIterable<V>): Promise<V[]> {
  const all: V[] = [];
  for await (const value of source) all.push(value);
  return all;
}

test("results come in the source's order, from an array as from an async source", async () => {
  const batcher = new BatchProcessor<number, number>(echo, { maxBatchSize: 7, queueLimit: 20 });
  for (const input of [range(500), slowSource()]) {
    const results = await collect(batcher.stream(input));
    expect(results.map((result) => result.status === "fulfilled" && result.value)).toEqual(
      range(500),
    );
  }
});

test("a rejected item is a rejected result, and the stream goes on", async () => {
  const batcher = new BatchProcessor<number, number>(async (items) =>
    items.map((item) => (item === 1 ? new Error("bad") : item)),
  );
  const results = await collect(batcher.stream([0, 1, 2]));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("no more than windowItems are read ahead of the consumer", async () => {
  let read = 0;
  function* source() {
    for (;;) yield read++;
  }
  const batcher = new BatchProcessor<number, number>(echo);
  const results = batcher.stream(source(), { windowItems: 10 })[Symbol.asyncIterator]();
  for (let taken = 1; taken <= 30; taken++) {
    await results.next();
    await turn();
    expect(read).toBeLessThanOrEqual(taken + 10);
  }
  await results.return?.();
  const { accepted } = batcher.stats();
  await turn();
  expect(batcher.stats().accepted).toBe(accepted);
});

test("a ready result does not wait for a slow source", async () => {
  const gate = Promise.withResolvers<void>();
  async function* source() {
    yield 1;
    await gate.promise;
    yield 2;
  }
  const batcher = new BatchProcessor<number, number>(echo);
  const results = batcher.stream(source())[Symbol.asyncIterator]();
  expect(await results.next()).toMatchObject({ value: { value: 1 } });
  const second = results.next();
  await turn();
  gate.resolve();
  expect(await second).toMatchObject({ value: { value: 2 } });
  expect(await results.next()).toMatchObject({ done: true });
});

test("leaving the loop drops what was read ahead and ends the source", async () => {
  let ended = false;
  function* source() {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      ended = true;
    }
  }
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, { maxBatchSize: 2, maxConcurrentBatches: 1 });
  const loop = (async () => {
    for await (const result of batcher.stream(source(), { windowItems: 6 })) return result;
    return undefined;
  })();
  await turn();
  backend.call(0).answer([0, 1]);
  expect(await loop).toEqual({ status: "fulfilled", value: 0 });
  await turn();
  expect(ended).toBe(true);
  expect(batcher.stats().queuedItems).toBe(0);
  for (const call of backend.calls.slice(1)) call.answer([...call.items]);
  await batcher.drain();
});

test("an error of the source comes after the results before it; an error of its end is nobody's", async () => {
  const batcher = new BatchProcessor<number, number>(echo);
  const seen: unknown[] = [];
  const loop = async () => {
    for await (const result of batcher.stream(brokenSource())) seen.push(result.status);
  };
  await expect(loop()).rejects.toThrow("source broke");
  expect(seen).toEqual(["fulfilled", "fulfilled"]);
  const bad = {
    [Symbol.iterator]: () => ({
      next: () => ({ done: false, value: 1 }) as const,
      return: () => {
        throw new Error("end broke");
      },
    }),
  };
  for await (const result of batcher.stream(bad, { windowItems: 1 })) {
    expect(result.status).toBe("fulfilled");
    break;
  }
});

test("the signal ends the stream with its reason, also while items wait for room", async () => {
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, { queueLimit: 2 });
  batcher.pause();
  const abort = new AbortController();
  const stream = batcher.stream(range(10), { signal: abort.signal, windowItems: 5 });
  const results = stream[Symbol.asyncIterator]();
  const first = watch(results.next());
  await turn();
  expect(batcher.stats().queuedItems).toBe(2);
  abort.abort(new Error("enough"));
  await turn();
  expect(first.reason).toMatchObject({ message: "enough" });
  expect(batcher.stats().queuedItems).toBe(0);
  await batcher.drain();
});

test("the signal also ends a stream none of whose items has found room yet", async () => {
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, { queueLimit: 1 });
  batcher.pause();
  const other = watch(batcher.add(1));
  const abort = new AbortController();
  const stream = batcher.stream(range(3), { signal: abort.signal });
  const first = watch(stream[Symbol.asyncIterator]().next());
  await turn();
  abort.abort(new Error("enough"));
  await turn();
  expect([first.state, other.state]).toEqual(["rejected", "pending"]);
});

test("closing settles what waits for room", async () => {
  const backend = new ManualBackend<number, number>();
  const batcher = new BatchProcessor(backend.process, { queueLimit: 1 });
  batcher.pause();
  const all = collect(batcher.stream(range(3)));
  await turn();
  await batcher.close();
  expect((await all).map((result) => result.status === "rejected" && result.reason)).toEqual(
    range(3).map(() => expect.objectContaining({ code: "BATCHER_CLOSED" })),
  );
});

async function* slowSource(): AsyncGenerator<number> {
  for (const item of range(500)) {
    if (item % 50 === 0) await turn();
    yield item;
  }
}

async function* brokenSource(): AsyncGenerator<number> {
  yield 1;
  yield 2;
  throw new Error("source broke");
}

test("no more than windowItems are read before the first result either", async () => {
  for (const windowItems of [1, 2, 5]) {
    let read = 0;
    function* source() {
      for (;;) yield read++;
    }
    const backend = new ManualBackend<number, number>();
    const batcher = new BatchProcessor(backend.process);
    const results = batcher.stream(source(), { windowItems })[Symbol.asyncIterator]();
    void results.next();
    await turn();
    expect(read).toBe(windowItems);
    void results.return?.();
  }
});

test("a stream that has ended leaves no listener on its signal", async () => {
  const batcher = new BatchProcessor<number, number>(echo);
  const { signal } = new AbortController();
  await collect(batcher.stream(range(5), { signal }));
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
