import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { range, watch } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

const listeners = ({ signal }: AbortController) => getEventListeners(signal, "abort").length;
const echo = async (items: readonly number[]) => [...items];

test("a signal that many items share has one listener, of all batchers, and none when they are done", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const batchers = range(2).map(() => new BatchProcessor<number, number>(echo));
  const results = batchers.flatMap((batcher) => [
    ...range(100).map((item) => batcher.add(item, { signal })),
    ...range(100).map((item) => batcher.add(item, { signal, dedupeKey: `${item % 7}` })),
    batcher.processBatch(range(100), undefined, { signal }),
    batcher.processBatch(range(100), undefined, { signal }),
  ]);
  expect(listeners(abort)).toBe(1);
  await Promise.all(results);
  expect(listeners(abort)).toBe(0);
  await batchers[0]?.add(1, { signal });
  expect(listeners(abort)).toBe(0);
});

test("it reaches every one of them that is left, and no others", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const batcher = new BatchProcessor<number, number>(echo);
  const early = await batcher.add(0, { signal });
  batcher.pause();
  const other = watch(batcher.add(1));
  const added = range(100).map((item) => watch(batcher.add(item, { signal })));
  const shared = range(10).map(() => watch(batcher.add(1, { signal, dedupeKey: "k" })));
  const together = batcher.processBatch(range(10), undefined, { signal });
  const reason = new Error("left");
  abort.abort(reason);
  await turn();
  expect([...added, ...shared].every((each) => each.reason === reason)).toBe(true);
  expect(await together).toEqual(range(10).map(() => ({ status: "rejected", reason })));
  expect([early, other.state]).toEqual([0, "pending"]);
  expect(batcher.stats()).toMatchObject({ queuedItems: 1, settled: { aborted: 111 } });
  expect(listeners(abort)).toBe(0);
});

test("an item that leaves while the others are told does not keep them from being told", async () => {
  const abort = new AbortController();
  const batcher = new BatchProcessor<number, number>(echo, { queueLimit: 2 });
  batcher.pause();
  const added = range(2).map((item) => watch(batcher.add(item, { signal: abort.signal })));
  const waiting = batcher.processBatch(range(4), undefined, { signal: abort.signal });
  abort.abort();
  await turn();
  expect(added.map(({ state }) => state)).toEqual(["rejected", "rejected"]);
  expect((await waiting).map(({ status }) => status)).toEqual(range(4).map(() => "rejected"));
  expect(batcher.stats().queuedItems).toBe(0);
});
