import { AsyncLocalStorage } from "node:async_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { turn } from "./support/virtual-time.ts";

interface Store {
  readonly user: string;
}

const requests = new AsyncLocalStorage<Store>();
const user = () => requests.getStore()?.user;

/** A batcher that notes whose context its calls, its events and its retries run in. */
function noting(options: BatchProcessorOptions<string> = {}) {
  const seen = new Set<string | undefined>();
  let calls = 0;
  const batcher = new BatchProcessor<string, string>(
    async (items) => {
      seen.add(user());
      await turn();
      seen.add(user());
      if (++calls % 3 === 0) throw Object.assign(new Error("busy"), { status: 503 });
      return [...items];
    },
    {
      maxBatchSize: 1,
      maxConcurrentBatches: 1,
      idempotent: true,
      retryBackoffMs: 0,
      retryBudgetRatio: 1,
      ...options,
    },
  );
  batcher.on("batch", () => seen.add(user())).on("retry", () => seen.add(user()));
  return { batcher, seen };
}

test("a call runs in nobody's async context, whoever added first and however busy the batcher is", async () => {
  const { batcher, seen } = noting();
  const users = range(30).map((index) => (index % 2 === 0 ? "alice" : "bob"));
  await Promise.all(users.map((name) => requests.run({ user: name }, () => batcher.add(name))));
  await Promise.all(
    users.map((name) => requests.run({ user: name }, () => batcher.processBatch([name]))),
  );
  expect([...seen]).toEqual([undefined]);
});

test("it runs in the context that the batcher was made in", async () => {
  const { batcher, seen } = requests.run({ user: "system" }, () => noting());
  await Promise.all([
    batcher.add("a"),
    requests.run({ user: "alice" }, () => batcher.add("b")),
    requests.run({ user: "bob" }, () => batcher.add("c", { deadlineMs: 10_000 })),
  ]);
  expect([...seen]).toEqual(["system"]);
});

test("who adds goes on in their own context, and so does their onProgress", async () => {
  const { batcher } = noting();
  const progress = new Set<string | undefined>();
  await Promise.all(
    range(20).map((index) =>
      requests.run({ user: `user ${index}` }, async () => {
        await batcher.add("x");
        expect(user()).toBe(`user ${index}`);
        await batcher.processBatch(["x"], undefined, { onProgress: () => progress.add(user()) });
        for await (const { status } of batcher.stream(["x"])) expect(status).toBe("fulfilled");
        expect(user()).toBe(`user ${index}`);
      }),
    ),
  );
  expect(progress).toEqual(new Set(range(20).map((index) => `user ${index}`)));
});

test("what the first one's context holds is free once their item has settled, while others keep the batcher busy", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { batcher } = noting();
  const first = ((): { store: WeakRef<Store>; settled: Promise<string> } => {
    const store = { user: "alice" };
    return {
      store: new WeakRef(store),
      settled: requests.run(store, () => batcher.add("alice")),
    };
  })();
  const others = batcher.processBatch(range(200).map(String));
  await first.settled;
  for (let turns = 0; turns < 20 && first.store.deref() !== undefined; turns++) {
    await turn();
    collect();
  }
  expect(first.store.deref()).toBeUndefined();
  expect(batcher.stats().queuedItems).toBeGreaterThan(0);
  await others;
});
