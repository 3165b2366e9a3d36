import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { MAX_BACKOFF_MS, MAX_LOCK_WAIT_MS } from "../src/swarm/sqlite/lock-wait.ts";
import { WriteQueue } from "../src/swarm/sqlite/write-queue.ts";
import { WaitingClock } from "./support/waiting-clock.ts";

const busy = Object.assign(new Error("database is locked"), { errcode: 5 });

let clock: WaitingClock;
let queue: WriteQueue;
let isLocked: () => boolean;
let attempts: number;
let done: string[];
beforeEach(() => setUp(() => false));

function setUp(locked: () => boolean): void {
  clock = new WaitingClock();
  attempts = 0;
  done = [];
  isLocked = locked;
  queue = new WriteQueue((work) => {
    attempts += 1;
    if (isLocked()) throw busy;
    return work();
  }, clock);
}

const write = (name: string): Promise<number> => queue.run(() => done.push(name));
const lockedUntil = (ms: number) => () => clock.now() < ms;

describe("a write", () => {
  test("settles also when its time ends while the late ones are being sorted out", async () => {
    for (let round = 0; round < 400; round += 1) {
      setUp(() => true);
      const now = clock.now.bind(clock);
      // Every look at the clock takes a moment, as it does; where the limit falls depends on the round.
      clock.now = () => {
        clock.pass(0.013);
        return now();
      };
      clock.random = () => round / 400;
      const settled = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => write(`w${index}`)),
      );
      expect(settled.every(({ status }) => status === "rejected")).toBe(true);
    }
  });

  test("is done before the call returns when nothing stands in its way", async () => {
    const writing = write("a");
    expect(done).toEqual(["a"]);
    await writing;
  });

  test("that fails by itself is not tried again, and holds up none", async () => {
    const failure = new Error("no such agent");
    await expect(
      queue.run(() => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    await write("b");
    expect(attempts).toBe(2);
  });

  test("waits for the lock of another process without standing in the event loop's way", async () => {
    isLocked = lockedUntil(1_000);
    const writing = write("a");
    let turns = 0;
    const counting = (async () => {
      while (done.length === 0) {
        await new Promise(setImmediate);
        turns += 1;
      }
    })();
    await Promise.all([writing, counting]);
    expect(turns).toBeGreaterThan(5);
    expect(clock.now()).toBeGreaterThanOrEqual(1_000);
    expect(clock.now()).toBeLessThanOrEqual(1_000 + MAX_BACKOFF_MS);
  });
});

describe("writes that meet a lock", () => {
  test("are done in the order in which they came", async () => {
    isLocked = lockedUntil(300);
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map(write));
    expect(done).toEqual(names);
  });

  test("fail together, after one wait", async () => {
    isLocked = () => true;
    const outcomes = await Promise.allSettled(["a", "b", "c", "d"].map(write));
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: { code: "STORE_BUSY", retryAfterMs: 1_000 } });
    expect(clock.now()).toBeLessThanOrEqual(MAX_LOCK_WAIT_MS + MAX_BACKOFF_MS);
    expect(done).toEqual([]);
  });

  test("one after the other, as batches do, have one wait together", async () => {
    isLocked = () => true;
    for (let batch = 0; batch < 20; batch += 1)
      await expect(write(String(batch))).rejects.toMatchObject({ code: "STORE_BUSY" });
    expect(clock.now()).toBeLessThanOrEqual(MAX_LOCK_WAIT_MS + MAX_BACKOFF_MS);
  });

  test("after a wait in vain cost few attempts, and succeed as soon as the lock is gone", async () => {
    isLocked = () => true;
    await expect(write("first")).rejects.toThrow(/Another process holds the database/);
    attempts = 0;
    await Promise.allSettled(Array.from({ length: 5_000 }, (_, index) => write(String(index))));
    expect(attempts).toBeLessThanOrEqual(1);
    isLocked = () => false;
    clock.pass(MAX_BACKOFF_MS);
    await write("last");
    expect(done).toEqual(["last"]);
  });

  test("wait anew when the lock that was waited for in vain is long ago", async () => {
    isLocked = () => true;
    await expect(write("first")).rejects.toMatchObject({ code: "STORE_BUSY" });
    clock.pass(60_000);
    const start = clock.now();
    isLocked = lockedUntil(start + 500);
    await write("second");
    expect(clock.now() - start).toBeGreaterThanOrEqual(500);
  });

  test("are bounded in number", async () => {
    isLocked = lockedUntil(200);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_500 }, (_, index) => write(String(index))),
    );
    const kept = outcomes.filter(({ status }) => status === "fulfilled");
    expect(kept).toHaveLength(1_000);
    expect(done).toHaveLength(1_000);
  });

  test("are refused when the store closes, and so are later ones", async () => {
    isLocked = () => true;
    const waiting = Promise.allSettled([write("a"), write("b")]);
    queue.close();
    for (const outcome of await waiting)
      expect(outcome).toMatchObject({ reason: { code: "STORE_CLOSED" } });
    await expect(write("c")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });

  test("settle in time and keep their order, whenever the database is locked", async () => {
    const locks = fc.array(fc.tuple(fc.nat(9_000), fc.nat(9_000)), { maxLength: 4 });
    const arrivals = fc.array(fc.nat(2_000), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(locks, arrivals, async (periods, gaps) => {
        setUp(() => periods.some(([from, ms]) => clock.now() >= from && clock.now() < from + ms));
        const written: string[] = [];
        const refusals: unknown[] = [];
        const settled = gaps.map(async (gap, index) => {
          await Promise.resolve();
          if (index % 3 === 0) clock.pass(gap);
          const start = clock.now();
          try {
            await write(String(index));
            written.push(String(index));
          } catch (error) {
            refusals.push(error);
          }
          return clock.now() - start;
        });
        const waits = await Promise.all(settled);
        for (const error of refusals) expect(error).toMatchObject({ code: "STORE_BUSY" });
        expect(done.toSorted((a, b) => Number(a) - Number(b))).toEqual(done);
        expect(new Set(written)).toEqual(new Set(done));
        // Time that the test lets pass at once is nobody's wait.
        const jumps = gaps.reduce((total, gap) => total + gap, 0);
        for (const wait of waits)
          expect(wait).toBeLessThanOrEqual(MAX_LOCK_WAIT_MS + MAX_BACKOFF_MS + jumps);
      }),
      { numRuns: 60 },
    );
  });
});
