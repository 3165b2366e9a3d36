import { describe, expect, test } from "vitest";
import { BatchContractError, BatchProcessor } from "../src/index.ts";
import type { BatchProcessorOptions, Processor } from "../src/index.ts";
import { range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

async function outcomes(
  processor: Processor<number, unknown>,
  options: BatchProcessorOptions<number> = {},
) {
  const batcher = new BatchProcessor<number, unknown>(processor, { idempotent: true, ...options });
  const results = await Promise.allSettled(range(3).map((item) => batcher.add(item)));
  await batcher.drain();
  const { batches, runningBatches } = batcher.stats();
  return { results, batches, runningBatches };
}

const reversed = async (items: readonly number[]) => items.map((id) => ({ id })).toReversed();
const isSameId = (item: number, value: unknown) => (value as { id: number }).id === item;
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const hostile = () => ({
  get status(): never {
    throw new Error("do not look");
  },
});
const no = (item: number) => Promise.reject(new Error(`no ${item}`));
const chained = () =>
  new Proxy(() => 1, { get: (_, name) => (name === "then" ? () => 1 : undefined) });
const sparse = (): unknown[] => Object.assign([], { 0: 1, 2: 3 });

/** What the call comes to, and what nobody heard of. */
async function withUnhandled<V>(
  call: () => Promise<V>,
): Promise<{ result: V; unhandled: unknown[] }> {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  try {
    const result = await call();
    await turn();
    return { result, unhandled };
  } finally {
    process.off("unhandledRejection", onUnhandled);
  }
}

describe("a processor that breaks its contract", () => {
  test.each<[string, unknown, string]>([
    ["too few results", [1, 2], "gave 2 results"],
    ["too many results", [1, 2, 3, 4], "gave 4 results"],
    ["nothing", undefined, "gave undefined"],
    ["null", null, "gave null"],
    ["an object with a length", { length: 3, 0: 1, 1: 2, 2: 3 }, "gave an object"],
    ["a string of the right length", "abc", 'gave "abc"'],
    ["a set", new Set([1, 2, 3]), "gave an object"],
    ["an array with a hole", sparse(), "a hole at 1"],
    ["promises in place of results", [1, Promise.resolve(2), 3], "a promise at 1"],
    [
      "a promise behind a settled result",
      [1, { status: "fulfilled", value: Promise.resolve(2) }, 3],
      "a promise at 1",
    ],
    ["a function with a then", [1, chained(), 3], "a promise at 1"],
    [
      "a function with a then behind a settled result",
      [1, { status: "fulfilled", value: chained() }, 3],
      "a promise at 1",
    ],
    ["a result that throws when it is read", [1, hostile(), 3], "throw when they are read"],
    ["a revoked proxy in place of a result", [1, revoked(), 3], "throw when they are read"],
  ])(
    "%s: every item of the call is told, once, and the slot is free",
    async (_, answer, message) => {
      const { results, batches, runningBatches } = await outcomes(
        () => Promise.resolve(answer) as never,
      );
      for (const result of results) {
        expect(result).toMatchObject({ reason: expect.any(BatchContractError) });
        expect(result).toMatchObject({ reason: { message: expect.stringContaining(message) } });
      }
      expect(batches).toMatchObject({ failed: 1, ok: 0 });
      expect(runningBatches).toBe(0);
    },
  );

  test.each<[string, (items: readonly number[]) => unknown[]]>([
    ["promises in place of results", (items) => items.map(no)],
    ["an array of promises of the wrong length", (items) => [...items, 7].map(no)],
    [
      "promises behind settled results",
      (items) => items.map((item) => ({ status: "fulfilled", value: no(item) })),
    ],
    [
      "promises after a result that throws when it is read",
      (items) => items.map((item) => (item === 0 ? hostile() : no(item))),
    ],
  ])("%s do not end as unhandled rejections", async (_, answer) => {
    const { result, unhandled } = await withUnhandled(async () => {
      const { results } = await outcomes(async (items) => answer(items));
      return results;
    });
    expect(result).toMatchObject(range(3).map(() => ({ reason: { code: "BATCHER_CONTRACT" } })));
    expect(unhandled).toEqual([]);
  });

  test("promises that come after the time-out do not either", async () => {
    const time = new VirtualTime();
    const { result, unhandled } = await withUnhandled(async () => {
      const settled = outcomes(
        async (items) => {
          await time.delay(100);
          return items.map(no);
        },
        { batchTimeoutMs: 20, maxAttempts: 1, now: time.now, timers: time },
      );
      await time.advance(200);
      return (await settled).results;
    });
    expect(result).toMatchObject(range(3).map(() => ({ reason: { code: "BATCHER_TIMEOUT" } })));
    expect(unhandled).toEqual([]);
  });

  test("what a processor or a listener does to the array after it was given changes nothing", async () => {
    const given: number[] = [];
    const batcher = new BatchProcessor<number, number>(async (items) => {
      given.push(...items);
      queueMicrotask(() => queueMicrotask(() => (given.length = 0)));
      return given;
    });
    batcher.on("batch", () => (given[0] = 7));
    expect(await batcher.processBatch([1, 2])).toEqual([
      { status: "fulfilled", value: 1 },
      { status: "fulfilled", value: 2 },
    ]);
  });

  test("a getter that does not answer the same twice is read once", async () => {
    const { results } = await outcomes(async (items) =>
      items.map(() => {
        let reads = 0;
        const promise = new Promise(() => undefined);
        const get = () => (reads++ === 0 ? 1 : promise);
        return Object.defineProperty({ status: "fulfilled" }, "value", { get, enumerable: true });
      }),
    );
    expect(results).toEqual(range(3).map(() => ({ status: "fulfilled", value: 1 })));
  });

  test("rows with a status and more than a value or a reason are values", async () => {
    const rows = [
      { id: 1, status: "fulfilled", value: 12.5 },
      { id: 2, status: "rejected", reason: "credit" },
      { status: "fulfilled", value: 1, reason: 2 },
    ];
    const { results } = await outcomes(async () => rows);
    expect(results).toEqual(rows.map((value) => ({ status: "fulfilled", value })));
  });

  test("a thrown value that throws when it is looked at is a broken contract, with a record", async () => {
    const batcher = new BatchProcessor<number, number>(() => Promise.reject(revoked()));
    const records: unknown[] = [];
    batcher.on("batch", (record) => records.push(record));
    await expect(batcher.add(1)).rejects.toMatchObject({ code: "BATCHER_CONTRACT" });
    expect(records).toMatchObject([{ outcome: "failed", failed: 1 }]);
  });

  test("results of other items are found out where matches can tell", async () => {
    const blind = await outcomes(reversed);
    expect(blind.batches).toMatchObject({ ok: 1 });
    const { results, batches } = await outcomes(reversed, { matches: isSameId });
    expect(batches).toMatchObject({ failed: 1 });
    for (const result of results)
      expect(result).toMatchObject({
        reason: { code: "BATCHER_CONTRACT", message: expect.stringContaining("at 0") },
      });
  });

  test("matches is asked for values, not for failures, and unwraps settled ones", async () => {
    const asked: [number, unknown][] = [];
    const { results } = await outcomes(
      async () => [
        { status: "fulfilled", value: "zero" },
        new Error("one"),
        { status: "rejected", reason: "two" },
      ],
      {
        matches: (item, value) => {
          asked.push([item, value]);
          return true;
        },
      },
    );
    expect(asked).toEqual([[0, "zero"]]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  test.each<[string, () => boolean]>([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["answers nothing", () => undefined as never],
  ])("a matches that %s counts as a broken contract", async (_, matches) => {
    const { results } = await outcomes(async (items) => [...items], { matches });
    for (const result of results)
      expect(result).toMatchObject({ reason: { code: "BATCHER_CONTRACT" } });
  });

  test.each<[string, () => never]>([
    [
      "a synchronous throw",
      () => {
        throw new Error("at once");
      },
    ],
    [
      "undefined thrown",
      () => {
        throw undefined;
      },
    ],
    [
      "a revoked proxy thrown",
      () => {
        throw revoked();
      },
    ],
    [
      "an error whose properties throw",
      () => {
        throw Object.defineProperty(new Error("x"), "status", {
          get: hostile().constructor as never,
        });
      },
    ],
    [
      "a symbol thrown",
      () => {
        throw Symbol("odd");
      },
    ],
  ])("%s: every item settles, and the slot is free", async (_, processor) => {
    for (const idempotent of [true, false]) {
      const { results, runningBatches } = await outcomes(processor, { idempotent });
      expect(results.map(({ status }) => status)).toEqual(range(3).map(() => "rejected"));
      expect(runningBatches).toBe(0);
    }
  });

  test("a thenable that settles twice or throws after it settled changes nothing", async () => {
    const { results } = await outcomes((items) => {
      const then = (resolve: (value: unknown) => void, reject: (error: unknown) => void) => {
        resolve([...items]);
        reject(new Error("changed my mind"));
        throw new Error("and again");
      };
      const thenable = { get: () => then };
      return new Proxy({}, thenable) as never;
    });
    expect(results.map(({ status }) => status)).toEqual(range(3).map(() => "fulfilled"));
  });

  test("what it does to its list of items does not reach the next attempt", async () => {
    const seen: number[][] = [];
    const { results } = await outcomes(
      async (items) => {
        seen.push([...items]);
        if (seen.length === 1) {
          (items as number[]).length = 1;
          throw Object.assign(new Error("busy"), { status: 503 });
        }
        return [...items];
      },
      { retryBackoffMs: 0 },
    );
    expect(seen).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(results).toMatchObject([{ value: 0 }, { value: 1 }, { value: 2 }]);
  });

  test("falsy and odd values are results like any other", async () => {
    for (const value of [
      undefined,
      null,
      0,
      "",
      false,
      Number.NaN,
      { status: "fulfilled" },
      { status: "rejected" },
    ]) {
      const { results } = await outcomes(async (items) => items.map(() => value));
      expect(results).toEqual(range(3).map(() => ({ status: "fulfilled", value })));
    }
  });
});
