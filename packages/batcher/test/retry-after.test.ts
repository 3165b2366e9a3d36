import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { monotonic } from "../src/clock.ts";
import { retryAfterMsOf } from "../src/retry-after.ts";
import { httpError, watch } from "./support/backend.ts";
import { VirtualTime } from "./support/virtual-time.ts";

const wall = () => Date.parse("Sun, 06 Nov 1994 08:49:37 GMT");

function circular(): object {
  const error: { cause?: object } = {};
  error.cause = error;
  return error;
}

describe("what a server asks to wait", () => {
  test.each<[unknown, number | undefined]>([
    [{ retryAfterMs: 250 }, 250],
    [{ retryAfterMs: -1 }, undefined],
    [{ retryAfterMs: Number.NaN, headers: { "retry-after": 2 } }, 2_000],
    [{ headers: { "retry-after": "3" } }, 3_000],
    [{ headers: { "Retry-After": "0.5" } }, 500],
    [{ headers: new Headers({ "Retry-After": "7" }) }, 7_000],
    [{ response: { headers: new Headers({ "Retry-After": "7" }) } }, 7_000],
    [{ headers: { "retry-after": "Sun, 06 Nov 1994 08:49:47 GMT" } }, 10_000],
    [{ headers: { "retry-after": "Sun, 06 Nov 1994 08:49:27 GMT" } }, 0],
    [{ headers: { "retry-after": "soon" } }, undefined],
    [{ retryAfterMs: "300" }, 300],
    [{ retryAfterMs: "soon" }, undefined],
    [{ headers: { "RETRY-AFTER": "3" } }, 3_000],
    [{ headers: { "retry-after": ["3", "5"] } }, 3_000],
    [{ headers: Object.assign(Object.create(null), { "retry-after": "3" }) }, 3_000],
    [{ headers: new Map([["Retry-After", "3"]]) }, 3_000],
    [{ headers: { "retry-after-ms": "250", "retry-after": "1" } }, 250],
    [{ response: { headers: { "Retry-After-Ms": 250 } } }, 250],
    [{ cause: { cause: { headers: { "retry-after": "3" } } } }, 3_000],
    [{ retryAfterMs: 1, cause: { retryAfterMs: 2 } }, 1],
    [circular(), undefined],
    [
      {
        headers: {
          get: () => {
            throw new Error("no headers");
          },
        },
      },
      undefined,
    ],
    [httpError(429), undefined],
    ["words", undefined],
    [undefined, undefined],
  ])("%o: %s ms", (error, expected) => {
    expect(retryAfterMsOf(error, wall)).toBe(expected);
  });

  test("a retry does not come before it, and one that is too far away is not waited for", async () => {
    for (const [retryAfterMs, calls, waitedMs] of [
      [900, 2, 900],
      [5_001, 1, 0],
    ] as const) {
      const time = new VirtualTime();
      let called = 0;
      const batcher = new BatchProcessor<number, number>(
        async (items) => {
          if (++called === 1) throw Object.assign(httpError(429), { retryAfterMs });
          return [...items];
        },
        { idempotent: true, now: time.now, timers: time, random: () => 0 },
      );
      const seen = watch(batcher.add(1));
      await time.advance(waitedMs - 1);
      expect(called).toBe(1);
      await time.advance(1);
      expect(called).toBe(calls);
      expect(seen.state).toBe(calls === 2 ? "fulfilled" : "rejected");
    }
  });

  test.each([Number.NaN, -1, 2, Infinity])(
    "a random of %s does not break the backoff",
    async (share) => {
      const time = new VirtualTime();
      let called = 0;
      const batcher = new BatchProcessor<number, number>(
        async (items) => {
          if (++called === 1) throw httpError(503);
          return [...items];
        },
        { idempotent: true, now: time.now, timers: time, random: () => share },
      );
      const seen = watch(batcher.add(1));
      await time.advance(99);
      expect(called).toBe(1);
      await time.advance(1);
      expect(seen.state).toBe("fulfilled");
    },
  );
});

describe("a clock that goes back", () => {
  test("stands still for the step and goes on from there", () => {
    const readings = [100, 110, 50, 60, Number.NaN, 70, 1_000];
    const now = monotonic(() => readings.shift() ?? 0);
    expect(Array.from({ length: 7 }, () => now())).toEqual([100, 110, 110, 120, 120, 130, 1_060]);
  });

  test("does not hold a lingering batch back", async () => {
    const time = new VirtualTime();
    let wrong = 0;
    const sizes: number[] = [];
    const batcher = new BatchProcessor<number, number>(
      (items) => {
        sizes.push(items.length);
        return new Promise(() => undefined);
      },
      { lingerMs: 20, now: () => time.now() - wrong, timers: time },
    );
    void batcher.add(1).catch(() => undefined);
    await time.advance(5);
    void batcher.add(2).catch(() => undefined);
    await time.advance(1);
    wrong = 3_600_000;
    await time.advance(40);
    expect(sizes).toEqual([1, 1]);
  });
});
