import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { httpError, range, watch } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

const tooMany = (seconds: number) =>
  Object.assign(httpError(429), { headers: { "retry-after": String(seconds) } });

/** Says 429 until then. */
function limited(untilMs: number, seconds: number, options: { idempotent?: boolean } = {}) {
  const time = new VirtualTime();
  const calls: number[] = [];
  const batcher = new BatchProcessor<number, number>(
    async (items) => {
      calls.push(time.now());
      await time.delay(1);
      if (time.now() < untilMs) throw tooMany(seconds);
      return [...items];
    },
    { now: time.now, timers: time, random: () => 1, ...options },
  );
  return { batcher, calls, time };
}

describe("a server that says how long to leave it alone", () => {
  test.each([false, true])("gets no further call meanwhile (idempotent %s)", async (idempotent) => {
    const { batcher, calls, time } = limited(2_000, 2, { idempotent });
    const work = batcher.processBatch(range(10_000));
    await time.advance(1_900);
    expect(calls).toHaveLength(4);
    await time.advance(10_000);
    const lost = (await work).filter(({ status }) => status === "rejected").length;
    expect(lost).toBe(idempotent ? 0 : 400);
    expect(time.armed).toBe(0);
  });

  test("is asked again after retryBackoffMaxMs, however long it says", async () => {
    const { batcher, calls, time } = limited(60_000, 3_600);
    const work = watch(batcher.processBatch(range(10_000)));
    await time.advance(60_000);
    expect(calls.length).toBeGreaterThan(4);
    expect(calls.length).toBeLessThanOrEqual(4 * 13);
    await time.advance(20_000);
    expect(work.state).toBe("fulfilled");
  });

  test.each([
    [1, 3],
    [3, 1],
  ])(
    "holds up nobody else, and the longer of two pauses counts: %i s, %i s",
    async (...seconds) => {
      const time = new VirtualTime();
      const pauses = [...seconds];
      const calls: number[] = [];
      const busy = async (items: readonly number[]) => {
        calls.push(time.now());
        const pause = pauses.shift();
        if (pause !== undefined) throw tooMany(pause);
        return [...items];
      };
      const batcher = new BatchProcessor<number, number>((items) => Promise.resolve([...items]), {
        now: time.now,
        timers: time,
      });
      const held = batcher.processBatch(range(500), busy);
      await turn();
      const others = watch(batcher.processBatch(range(50)));
      await time.advance(10);
      expect(others.state).toBe("fulfilled");
      await time.advance(5_000);
      await held;
      expect(calls.filter((at) => at > 0 && at < 3_000)).toEqual([]);
      expect(calls.length).toBe(5);
    },
  );

  test("leaves no timer behind when the batcher closes", async () => {
    const { batcher, time } = limited(Infinity, 2);
    const work = batcher.processBatch(range(1_000));
    await time.advance(100);
    expect(time.armed).toBe(1);
    await batcher.close();
    expect(time.armed).toBe(0);
    expect((await work).every(({ status }) => status === "rejected")).toBe(true);
  });
});

describe("whether a deadline can be kept is judged by calls of the same processor that were no larger", () => {
  test("slow calls of another processor, or of more items, refuse nothing", async () => {
    const time = new VirtualTime();
    const batcher = new BatchProcessor<number, number>(
      async (items) => {
        await time.delay(items.length * 10);
        return [...items];
      },
      { now: time.now, timers: time },
    );
    const other = batcher.processBatch(range(50), async (items) => {
      await time.delay(300);
      return [...items];
    });
    const bulk = batcher.processBatch(range(100));
    await time.advance(1_000);
    await Promise.all([other, bulk]);
    const kept = watch(batcher.add(1, { deadlineMs: 200 }));
    await time.advance(20);
    expect(kept.state).toBe("fulfilled");
    const late = watch(batcher.add(1, { deadlineMs: 5 }));
    await turn();
    expect(late.reason).toMatchObject({ code: "BATCHER_DEADLINE", dispatched: false });
  });
});
