import { getEventListeners } from "node:events";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import {
  AcquireTimeoutError,
  InvalidArgumentError,
  PoolClosedError,
  QueueFullError,
  ResourcePool,
  StreamGuardError,
} from "@mcp-accel/stream-guard";
import type { Permit, Priority, ResourcePoolOptions } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

function poolOf(options: Partial<ResourcePoolOptions> = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const pool = new ResourcePool({ capacity: 3, now, schedule, ...options });
  return { pool, time };
}

describe("resource pool limits", () => {
  test("no more than the capacity is ever out", async () => {
    const { pool } = poolOf();
    const permits = [await pool.acquire(), await pool.acquire({ weight: 2 })];
    expect(pool.tryAcquire()).toBeUndefined();
    const waiting = pool.acquire();
    permits[0]?.release();
    await waiting;
    expect(pool.stats()).toMatchObject({
      capacity: 3,
      inUse: 3,
      permits: 2,
      peak: 3,
      acquired: 3,
      waiting: 0,
    });
  });

  test("releasing twice gives back once", async () => {
    const { pool } = poolOf();
    const permit = await pool.acquire({ weight: 3 });
    expect(permit.released).toBe(false);
    permit.release();
    permit.release();
    permit[Symbol.dispose]();
    expect(permit.released).toBe(true);
    expect(pool.stats()).toMatchObject({ inUse: 0, permits: 0 });
  });

  test("a heavy waiter is not starved by light ones that come later", async () => {
    const { pool } = poolOf();
    const held = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    const order: string[] = [];
    const heavy = pool.acquire({ weight: 3 }).then((permit) => {
      permit.release();
      return order.push("heavy");
    });
    const light = pool.acquire().then(() => order.push("light"));
    held[0]?.release();
    expect(pool.tryAcquire()).toBeUndefined();
    await settle();
    expect(order).toEqual([]);
    held[1]?.release();
    held[2]?.release();
    await Promise.all([heavy, light]);
    expect(order).toEqual(["heavy", "light"]);
  });

  test("a higher priority goes first, and within one the order is kept", async () => {
    const { pool } = poolOf({ capacity: 1 });
    const first = await pool.acquire();
    const order: string[] = [];
    const wait = (name: string, priority: Priority) =>
      pool.acquire({ priority }).then((permit) => {
        permit.release();
        return order.push(name);
      });
    const all = [
      wait("low", "low"),
      wait("n1", "normal"),
      wait("n2", "normal"),
      wait("high", "high"),
    ];
    first.release();
    await Promise.all(all);
    expect(order).toEqual(["high", "n1", "n2", "low"]);
  });

  test("a high priority passes those that wait with a lower one when it fits", async () => {
    const { pool } = poolOf();
    await pool.acquire({ weight: 2 });
    const heavy = pool.acquire({ weight: 3, priority: "low" });
    const permit = await pool.acquire({ priority: "high" });
    expect(permit.weight).toBe(1);
    await pool.close();
    await expect(heavy).rejects.toThrow(PoolClosedError);
  });

  test("the queue is bounded", async () => {
    const { pool } = poolOf({ capacity: 1, queueLimit: 1 });
    const permit = await pool.acquire();
    const waiting = pool.acquire();
    await expect(pool.acquire()).rejects.toThrow(QueueFullError);
    permit.release();
    await waiting;
    expect(pool.stats().rejected.queueFull).toBe(1);
  });

  test("a wait ends after its timeout and makes way for the next", async () => {
    const { pool, time } = poolOf();
    await pool.acquire({ weight: 2 });
    const heavy = pool.acquire({ weight: 3, timeoutMs: 100 });
    const light = pool.acquire();
    time.advance(100);
    const error = await heavy.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_ACQUIRE_TIMEOUT",
      weight: 3,
      timeoutMs: 100,
    });
    await light;
    expect(time.pending).toBe(0);
  });

  test("an abort ends a wait; after the grant it changes nothing", async () => {
    const { pool } = poolOf({ capacity: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const first = await pool.acquire({ signal });
    const granted = pool.acquire({ signal });
    const waiting = pool.acquire({ signal });
    first.release();
    controller.abort(new Error("stop"));
    (await granted).release();
    await expect(waiting).rejects.toThrow("stop");
    await expect(pool.acquire({ signal })).rejects.toThrow("stop");
    expect(pool.stats()).toMatchObject({ inUse: 0, waiting: 0, rejected: { aborted: 1 } });
  });

  test("use gives the permit back however the task ends", async () => {
    const { pool } = poolOf();
    expect(await pool.use((permit) => permit.weight, { weight: 2 })).toBe(2);
    const failing = pool.use(async () => {
      throw new Error("task failed");
    });
    await expect(failing).rejects.toThrow("task failed");
    expect(pool.stats().inUse).toBe(0);
  });

  test("growing lets waiters in; shrinking keeps permits and rejects who can no longer fit", async () => {
    const { pool } = poolOf({ capacity: 2 });
    const held = await pool.acquire({ weight: 2 });
    const light = pool.acquire();
    const heavy = pool.acquire({ weight: 2 });
    pool.resize(1);
    await expect(heavy).rejects.toThrow(InvalidArgumentError);
    held.release();
    await light;
    const next = pool.acquire();
    pool.resize(2);
    await next;
    expect(pool.capacity).toBe(2);
    expect(pool.stats()).toMatchObject({ inUse: 2, rejected: { resized: 1 } });
  });

  test("closing rejects those who wait and those who come, and permits may still come back", async () => {
    const { pool, time } = poolOf({ capacity: 1, maxHoldMs: 100 });
    const permit = await pool.acquire();
    const waiting = pool.acquire();
    await pool[Symbol.asyncDispose]();
    await expect(waiting).rejects.toMatchObject({ code: "STREAM_GUARD_POOL_CLOSED" });
    await expect(pool.acquire()).rejects.toThrow(PoolClosedError);
    expect(pool.tryAcquire()).toBeUndefined();
    permit.release();
    expect(pool.stats()).toMatchObject({ inUse: 0, rejected: { closed: 2 } });
    expect(time.pending).toBe(0);
  });

  test("ten thousand waiters leave from anywhere in the queue without a scan", async () => {
    const { pool } = poolOf({ capacity: 1, queueLimit: 10_000 });
    const permit = await pool.acquire();
    const controllers = Array.from({ length: 10_000 }, () => new AbortController());
    const waits = controllers.map(({ signal }) => pool.acquire({ signal }));
    for (const controller of controllers.toReversed()) controller.abort();
    const settled = await Promise.allSettled(waits);
    expect(settled.every(({ status }) => status === "rejected")).toBe(true);
    permit.release();
    expect(pool.stats()).toMatchObject({ waiting: 0, inUse: 0 });
  });
});

describe("priorities", () => {
  test("a low one is served after a while, however many higher ones come", async () => {
    expect(await lowAmongHigh(2000)).toBe("served");
    expect(await lowAmongHigh(10_000)).toBe("waiting");
  });

  test("strict ones are served first for ever", async () => {
    expect(await lowAmongHigh(false)).toBe("waiting");
  });

  test("closing lets nobody in who waited behind a heavy one", async () => {
    const { pool } = poolOf({ capacity: 3 });
    await pool.acquire({ weight: 2 });
    const waits = [pool.acquire({ weight: 3 }), pool.acquire({ weight: 1 })];
    await pool.close();
    const settled = await Promise.allSettled(waits);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(pool.stats().inUse).toBe(2);
  });

  test("a hundred callers may share one signal without a listener each", async () => {
    const { pool } = poolOf({ capacity: 1 });
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const controller = new AbortController();
    const permit = await pool.acquire();
    const waits = Array.from({ length: 100 }, () => pool.acquire({ signal: controller.signal }));
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
    controller.abort(new Error("stop"));
    const settled = await Promise.allSettled(waits);
    expect(settled.every(({ status }) => status === "rejected")).toBe(true);
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
    permit.release();
    expect(pool.stats()).toMatchObject({ inUse: 0, rejected: { aborted: 100 } });
  });
});

describe("long holds", () => {
  test("a permit held too long is reported once, with the stack of a sampled holder", async () => {
    const { pool, time } = poolOf({ maxHoldMs: 1000, stackSampleRatio: 1 });
    const reports: { heldMs: number; stack: string | undefined }[] = [];
    pool.on("longHold", ({ heldMs, stack }) => reports.push({ heldMs, stack }));
    await pool.acquire();
    time.advance(600);
    const quick = await pool.acquire();
    quick.release();
    time.advance(5000);
    expect(reports).toHaveLength(1);
    expect(reports[0]?.heldMs).toBe(1000);
    expect(reports[0]?.stack).toContain("resource-pool.test.ts");
    expect(pool.stats().longHolds).toBe(1);
    expect(time.pending).toBe(0);
  });

  test("only a share of the stacks is kept", async () => {
    const draws = [0.5, 0.001];
    const { pool, time } = poolOf({ maxHoldMs: 10, random: () => draws.shift() ?? 1 });
    const stacks: (string | undefined)[] = [];
    pool.on("longHold", ({ stack }) => stacks.push(stack));
    await pool.acquire();
    await pool.acquire();
    time.advance(10);
    expect(stacks.map((stack) => stack !== undefined)).toEqual([false, true]);
  });
});

describe("bad input", () => {
  test.each([
    ["capacity", 0],
    ["queueLimit", -1],
    ["acquireTimeoutMs", 0],
    ["maxHoldMs", -5],
    ["agingMs", 0],
    ["agingMs", Number.POSITIVE_INFINITY],
    ["stackSampleRatio", 2],
    ["name", ""],
    ["random", 1],
  ])("the wrong option %s is named", (argument, value) => {
    expect(() => poolOf({ [argument]: value })).toThrow(
      expect.objectContaining({ code: "STREAM_GUARD_INVALID_ARGUMENT", argument }),
    );
  });

  test.each([
    ["weight", 4],
    ["weight", 0],
    ["priority", "urgent"],
    ["timeoutMs", Number.POSITIVE_INFINITY],
    ["signal", {}],
  ])("the wrong acquire option %s is named", async (argument, value) => {
    const { pool } = poolOf();
    await expect(pool.acquire({ [argument]: value })).rejects.toMatchObject({ argument });
    expect(() => pool.tryAcquire(0)).toThrow(InvalidArgumentError);
  });
});

test("over random operations the pool never exceeds its capacity, keeps order, and loses nobody", async () => {
  const step = fc.record({
    action: fc.constantFrom("acquire", "try", "release", "abort", "advance"),
    weight: fc.integer({ min: 1, max: 4 }),
    priority: fc.constantFrom<Priority>("high", "normal", "low"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
      const { pool, time } = poolOf({ capacity: 4, queueLimit: 8, acquireTimeoutMs: 500 });
      const out: Permit[] = [];
      const errors: unknown[] = [];
      const controllers: AbortController[] = [];
      const waits: Promise<unknown>[] = [];
      for (const { action, weight, priority } of steps) {
        if (action === "acquire") {
          const controller = new AbortController();
          controllers.push(controller);
          const options = { weight, priority, signal: controller.signal };
          waits.push(
            pool.acquire(options).then(
              (permit) => out.push(permit),
              (error: unknown) => errors.push(error),
            ),
          );
        } else if (action === "try") {
          const permit = pool.tryAcquire(weight);
          if (permit !== undefined) out.push(permit);
        } else if (action === "release") out.splice(weight % (out.length || 1), 1)[0]?.release();
        else if (action === "abort") controllers[weight]?.abort();
        else time.advance(weight * 60);
        await settle();
        const { inUse, waiting, permits } = pool.stats();
        expect(inUse).toBe(out.reduce((sum, permit) => sum + permit.weight, 0));
        expect(inUse).toBeLessThanOrEqual(4);
        expect(permits).toBe(out.length);
        expect(waiting).toBeLessThanOrEqual(8);
      }
      await pool.close();
      await Promise.all(waits);
      expect(
        errors.filter((error) => !(error instanceof StreamGuardError || isAbort(error))),
      ).toEqual([]);
      for (const permit of out) permit.release();
      expect(pool.stats()).toMatchObject({ inUse: 0, waiting: 0 });
    }),
    { numRuns: 100 },
  );
});

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** High ones come all the time; what has the low one become after five seconds? */
async function lowAmongHigh(agingMs: number | false): Promise<string> {
  const { pool, time } = poolOf({ capacity: 1, agingMs });
  let held = await pool.acquire();
  let outcome = "waiting";
  const low = pool.acquire({ priority: "low" }).then((permit) => {
    outcome = "served";
    return permit.release();
  });
  for (let second = 0; second < 5; second += 1) {
    const next = pool.acquire({ priority: "high" });
    time.advance(1000);
    held.release();
    held = await next;
  }
  const seen = outcome;
  held.release();
  await low;
  return seen;
}
