import { getEventListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { mostKept, mostKeptBytes } from "../src/kept-answers.ts";
import { ManualBackend, range, watch } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

function setUp(options: BatchProcessorOptions<string> = {}) {
  const time = new VirtualTime();
  const backend = new ManualBackend<string, string>();
  const batcher = new BatchProcessor(backend.process, { now: time.now, timers: time, ...options });
  return { backend, batcher, time };
}

test("items of one dedupeKey that are queued or running share one place in one call", async () => {
  const { backend, batcher } = setUp();
  const first = batcher.add("a", { dedupeKey: "k" });
  const second = batcher.add("b", { dedupeKey: "k" });
  const other = batcher.add("c", { dedupeKey: "l" });
  await turn();
  const third = batcher.add("d", { dedupeKey: "k" });
  await turn();
  expect(backend.calls.map(({ items }) => items)).toEqual([["a", "c"]]);
  backend.call(0).answer(["A", "C"]);
  expect(await Promise.all([first, second, third, other])).toEqual(["A", "A", "A", "C"]);
  expect(batcher.stats()).toMatchObject({ accepted: 2, deduplicated: 2 });
});

test("without a window the next one after the answer is a new item", async () => {
  const { backend, batcher } = setUp();
  for (const call of [0, 1]) {
    const result = batcher.add("a", { dedupeKey: "k" });
    await turn();
    backend.call(call).answer([`answer ${call}`]);
    expect(await result).toBe(`answer ${call}`);
  }
});

test("an answer is shared for dedupeWindowMs, a failure is not", async () => {
  const { backend, batcher, time } = setUp({ dedupeWindowMs: 100 });
  const bad = watch(batcher.add("a", { dedupeKey: "k" }));
  await turn();
  backend.call(0).answer([new Error("no")]);
  await turn();
  expect(bad.state).toBe("rejected");
  const good = batcher.add("a", { dedupeKey: "k" });
  await turn();
  backend.call(1).answer(["A"]);
  await good;
  await time.advance(99);
  expect(await batcher.add("b", { dedupeKey: "k" })).toBe("A");
  await time.advance(1);
  const again = batcher.add("b", { dedupeKey: "k" });
  await turn();
  backend.call(2).answer(["B"]);
  expect(await again).toBe("B");
});

test("each may leave on its own; the item goes when the last has left", async () => {
  const { backend, batcher, time } = setUp();
  batcher.pause();
  const abort = new AbortController();
  const first = watch(batcher.add("a", { dedupeKey: "k", signal: abort.signal }));
  const second = watch(batcher.add("a", { dedupeKey: "k", deadlineMs: 50 }));
  abort.abort(new Error("left"));
  await turn();
  expect([first.state, second.state]).toEqual(["rejected", "pending"]);
  expect(batcher.stats().queuedItems).toBe(1);
  await time.advance(50);
  expect(second.reason).toMatchObject({ code: "BATCHER_DEADLINE", dispatched: false });
  expect(batcher.stats()).toMatchObject({ queuedItems: 0, settled: { expired: 1 } });
  expect(getEventListeners(abort.signal, "abort")).toEqual([]);
  batcher.resume();
  await turn();
  expect(backend.calls).toEqual([]);
  expect(time.armed).toBe(0);
});

test("who cannot make the deadline goes before dispatch, the others get their answer", async () => {
  const { backend, batcher, time } = setUp();
  const slow = batcher.add("slow");
  await time.advance(100);
  backend.call(0).answer(["slow"]);
  await slow;
  const hasty = watch(batcher.add("a", { dedupeKey: "k", deadlineMs: 50 }));
  const patient = batcher.add("a", { dedupeKey: "k" });
  await turn();
  expect(hasty.reason).toMatchObject({ code: "BATCHER_DEADLINE", dispatched: false });
  backend.call(1).answer(["A"]);
  expect(await patient).toBe("A");
});

test("a full queue refuses a new key, and lets company of a queued one in", async () => {
  const { batcher } = setUp({ queueLimit: 1 });
  batcher.pause();
  const results = [
    watch(batcher.add("a", { dedupeKey: "k" })),
    watch(batcher.add("a", { dedupeKey: "k" })),
  ];
  await expect(batcher.add("b", { dedupeKey: "l" })).rejects.toMatchObject({
    code: "BATCHER_OVERLOAD",
  });
  await batcher.close();
  await turn();
  for (const { reason } of results) expect(reason).toMatchObject({ code: "BATCHER_CLOSED" });
  await expect(batcher.add("a", { dedupeKey: "k" })).rejects.toMatchObject({
    code: "BATCHER_CLOSED",
  });
});

test("a call that asks for its own key does not wait for itself", async () => {
  let calls = 0;
  const batcher: BatchProcessor<string, number> = new BatchProcessor(async (items) => {
    if (++calls > 1) return items.map(() => 1);
    return Promise.all(
      items.map(async (item) => 1 + (await batcher.add(item, { dedupeKey: item }))),
    );
  });
  expect(await batcher.add("a", { dedupeKey: "a" })).toBe(2);
});

test("no more than so many answers are kept", async () => {
  const time = new VirtualTime();
  let processed = 0;
  const batcher = new BatchProcessor<number, number>(
    async (items) => {
      processed += items.length;
      return [...items];
    },
    { dedupeWindowMs: 1_000_000, queueLimit: 100_000, now: time.now, timers: time },
  );
  const addAll = () =>
    Promise.all(range(mostKept + 1).map((item) => batcher.add(item, { dedupeKey: `${item}` })));
  await addAll();
  await batcher.add(mostKept, { dedupeKey: `${mostKept}` });
  expect(processed).toBe(mostKept + 1);
  await batcher.add(0, { dedupeKey: "0" });
  expect(processed).toBe(mostKept + 2);
});

/** Every call answers with its number. */
function counting(dedupeWindowMs: number) {
  const time = new VirtualTime();
  let calls = 0;
  const batcher = new BatchProcessor<string, number>(async (items) => items.map(() => ++calls), {
    dedupeWindowMs,
    now: time.now,
    timers: time,
  });
  return { add: (key: string) => batcher.add(key, { dedupeKey: key }), batcher, time };
}

describe("kept answers", () => {
  test("a shorter window holds for those that are kept already", async () => {
    const { add, batcher, time } = counting(60_000);
    await add("a");
    batcher.tune({ dedupeWindowMs: 10 });
    expect(await add("b")).toBe(2);
    await time.advance(9);
    expect([await add("a"), await add("b")]).toEqual([1, 2]);
    await time.advance(1);
    expect([await add("b"), await add("a")]).toEqual([3, 4]);
  });

  test("with a window of 0 nothing is kept any more, and a later one does not bring it back", async () => {
    const { add, batcher, time } = counting(60_000);
    await add("a");
    batcher.tune({ dedupeWindowMs: 0 });
    expect(await add("a")).toBe(2);
    batcher.tune({ dedupeWindowMs: 60_000 });
    expect(await add("a")).toBe(3);
    await batcher.close();
    expect(time.armed).toBe(0);
  });

  test("they are freed when the window is over, though nobody asks", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const time = new VirtualTime();
    const answers: WeakRef<object>[] = [];
    const batcher = new BatchProcessor<number, object>(
      async (items) =>
        items.map(() => {
          const answer = {};
          answers.push(new WeakRef(answer));
          return answer;
        }),
      { dedupeWindowMs: 50, historyLimit: 1, now: time.now, timers: time },
    );
    await Promise.all(range(10).map((item) => batcher.add(item, { dedupeKey: `${item}` })));
    await time.advance(50);
    expect(time.armed).toBe(0);
    await batcher.add(-1);
    for (let turns = 0; turns < 10; turns++) {
      await turn();
      collect();
    }
    expect(answers.slice(0, 9).every((answer) => answer.deref() === undefined)).toBe(true);
  });

  test("no more bytes of text and binary data are kept than there may be", async () => {
    const time = new VirtualTime();
    let calls = 0;
    const third = mostKeptBytes / 3 + 1;
    const batcher = new BatchProcessor<string, { body: Uint8Array }>(
      async (items) =>
        items.map((item) => {
          calls += 1;
          return { body: new Uint8Array(item === "huge" ? mostKeptBytes + 1 : third) };
        }),
      { dedupeWindowMs: 1_000, now: time.now, timers: time },
    );
    const add = (key: string) => batcher.add(key, { dedupeKey: key });
    for (const key of ["a", "b", "c", "c", "b"]) await add(key);
    expect(calls).toBe(3);
    await add("a");
    expect(calls).toBe(4);
    for (let again = 0; again < 2; again++) await add("huge");
    expect(calls).toBe(6);
  });
});

test("a wait that ends well leaves no timer of its deadline", async () => {
  const { backend, batcher, time } = setUp();
  const result = batcher.add("a", { dedupeKey: "k", deadlineMs: 1_000 });
  await turn();
  backend.call(0).answer(["A"]);
  await result;
  expect(time.armed).toBe(0);
});
