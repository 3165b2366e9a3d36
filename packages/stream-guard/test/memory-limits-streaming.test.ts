import { describe, expect, test } from "vitest";
import {
  AdmissionError,
  MemoryLimitError,
  OverReleaseError,
  QueueFullError,
  SessionClosedError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

const KIB = 1024;

function guardOf(options: ConstructorParameters<typeof StreamGuard>[0] = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    maxMemoryBytes: 1000,
    sessionMaxMemoryBytes: 400,
    now,
    schedule,
    ...options,
  });
  return { guard, time };
}

describe("memory limits streaming", () => {
  test("a reservation counts in the session and in the guard, and its release undoes both", () => {
    const { guard } = guardOf();
    const session = guard.open();
    session.reserve(300);
    expect(session.memoryUsageBytes).toBe(300);
    expect(guard.stats().usedBytes).toBe(300);
    session.release(300);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, peakBytes: 300 });
    expect(session.peakBytes).toBe(300);
  });

  test("a refusal comes before the memory is taken and says who asked for what", () => {
    const { guard } = guardOf();
    const session = guard.open({ id: "s1" });
    session.reserve(350);
    const error = thrown(() => session.reserve(100));
    expect(error).toBeInstanceOf(MemoryLimitError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_MEMORY_LIMIT",
      scope: "session",
      sessionId: "s1",
      requestedBytes: 100,
      usedBytes: 350,
      limitBytes: 400,
      retryAfterMs: 1000,
    });
    expect(session.memoryUsageBytes).toBe(350);
    expect(session.closed).toBe(false);
  });

  test("a session at its limit does not stand in the way of the others", () => {
    const { guard } = guardOf();
    const full = guard.open();
    const other = guard.open();
    full.reserve(400);
    expect(full.tryReserve(1)).toBe(false);
    expect(other.tryReserve(300)).toBe(true);
  });

  test("when the guard is full, the one that asks is refused whatever its own limit", () => {
    const { guard } = guardOf();
    const sessions = [guard.open(), guard.open(), guard.open()];
    sessions[0]?.reserve(400);
    sessions[1]?.reserve(300);
    sessions[2]?.reserve(200);
    expect(thrown(() => sessions[2]?.reserve(150))).toMatchObject({
      scope: "guard",
      limitBytes: 1000,
    });
    expect(guard.stats()).toMatchObject({ usedBytes: 900, limited: { session: 0, guard: 1 } });
  });

  test("at 80 % new sessions are refused until the level falls again", () => {
    const { guard } = guardOf();
    const [a, b] = [guard.open(), guard.open()];
    a.reserve(400);
    b.reserve(400);
    const error = thrown(() => guard.open({ principal: "p" }));
    expect(error).toBeInstanceOf(AdmissionError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_ADMISSION",
      reason: "memory",
      retryAfterMs: 1000,
    });
    b.release(100);
    expect(guard.open().closed).toBe(false);
  });

  test("at 95 % only a session that already holds memory may take more", () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 1000 });
    const [a, b] = [guard.open(), guard.open()];
    a.reserve(950);
    expect(b.tryReserve(10)).toBe(false);
    expect(a.tryReserve(50)).toBe(true);
    expect(b.tryReserve(0)).toBe(true);
    expect(thrown(() => b.reserve(10))).toMatchObject({ scope: "guard" });
  });

  test("the soft limit is reported once at 90 %, and again only after the use has fallen", () => {
    const { guard } = guardOf();
    const used: number[] = [];
    guard.on("softLimit", ({ usedBytes }) => used.push(usedBytes));
    const session = guard.open();
    session.reserve(359);
    session.reserve(1);
    session.reserve(10);
    session.release(40);
    session.reserve(40);
    session.release(50);
    session.reserve(40);
    expect(used).toEqual([360, 360]);
    expect(guard.stats().softLimits).toBe(2);
  });

  test("releasing more than is held is an error and changes nothing", () => {
    const { guard } = guardOf();
    const session = guard.open();
    session.reserve(10);
    session.release(10);
    const error = thrown(() => session.release(10));
    expect(error).toBeInstanceOf(OverReleaseError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_OVER_RELEASE",
      heldBytes: 0,
      releasedBytes: 10,
    });
    expect(guard.stats().usedBytes).toBe(0);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1"])(
    "%s is not a number of bytes",
    (bytes) => {
      const { guard } = guardOf();
      const session = guard.open();
      const invalid = { code: "STREAM_GUARD_INVALID_ARGUMENT", argument: "bytes" };
      expect(thrown(() => session.reserve(bytes as number))).toMatchObject(invalid);
      expect(thrown(() => session.release(bytes as number))).toMatchObject(invalid);
      expect(guard.stats().usedBytes).toBe(0);
    },
  );

  test("checkMemoryLimit throws only when no byte is left", () => {
    const { guard } = guardOf();
    const session = guard.open();
    session.reserve(399);
    session.checkMemoryLimit();
    session.reserve(1);
    expect(() => session.checkMemoryLimit()).toThrow(MemoryLimitError);
  });

  test("closing gives everything back; later reservations fail and later releases do nothing", async () => {
    const { guard } = guardOf();
    const session = guard.open({ id: "gone" });
    session.reserve(100);
    await session.close("done");
    await session.close("again");
    expect(session).toMatchObject({ closed: true, closeReason: "done", memoryUsageBytes: 0 });
    session.release(100);
    const error = thrown(() => session.reserve(1));
    expect(error).toBeInstanceOf(SessionClosedError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_SESSION_CLOSED",
      sessionId: "gone",
      reason: "done",
    });
    for (const use of [
      () => session.begin(),
      () => session.checkMemoryLimit(),
      () => session.tryReserve(0),
    ])
      expect(use).toThrow(SessionClosedError);
    expect(session.signal.reason).toBeInstanceOf(SessionClosedError);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0, closed: { other: 1 } });
  });

  test("a session ends with its block", async () => {
    const { guard } = guardOf();
    {
      await using session = guard.open();
      session.reserve(10);
    }
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { closed: 1 } });
  });
});

describe("waiting for room", () => {
  test("a reservation waits until enough is released, in order", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const order: string[] = [];
    session.reserve(400);
    const first = session.reserveWhenAvailable(300).then(() => order.push("first"));
    const second = session.reserveWhenAvailable(10).then(() => order.push("second"));
    session.release(100);
    await settle();
    expect(order).toEqual([]);
    session.release(300);
    await Promise.all([first, second]);
    expect(order).toEqual(["first", "second"]);
    expect(guard.stats()).toMatchObject({ usedBytes: 310, waiting: 0 });
  });

  test("a heavy waiter for the guard's room is not overtaken by a light one of another session", async () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 600 });
    const [a, b, c] = [guard.open(), guard.open(), guard.open()];
    a.reserve(500);
    b.reserve(300);
    c.reserve(1);
    const order: string[] = [];
    const heavy = b.reserveWhenAvailable(300).then(() => order.push("heavy"));
    const light = c.reserveWhenAvailable(10).then(() => order.push("light"));
    await settle();
    expect(order).toEqual([]);
    a.release(111);
    await Promise.all([heavy, light]);
    expect(order).toEqual(["heavy", "light"]);
  });

  test("a newcomer that waits at 95 % does not block those who hold memory", async () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 960 });
    const [holder, newcomer] = [guard.open(), guard.open()];
    holder.reserve(960);
    const late = newcomer.reserveWhenAvailable(10);
    await settle();
    const more = holder.reserveWhenAvailable(5);
    holder.release(6);
    await more;
    expect(guard.stats().waiting).toBe(1);
    holder.release(500);
    await late;
  });

  test("a session whose own reservation takes its waiter's room makes way for the others", async () => {
    const { guard } = guardOf();
    const [a, b, c] = [guard.open(), guard.open(), guard.open()];
    a.reserve(400);
    b.reserve(300);
    const heavy = b.reserveWhenAvailable(100, { timeoutMs: 60_000 }).catch(() => {});
    c.reserve(1);
    await heavy;
    const stuck = c.reserveWhenAvailable(300, { timeoutMs: 60_000 }).catch(() => {});
    const behind = b.reserveWhenAvailable(0);
    await settle();
    expect(guard.stats().waiting).toBe(2);
    c.reserve(150);
    await behind;
    await c.close();
    await stuck;
  });

  test("a newcomer that waits is let in when it gets to work", async () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 960 });
    const [holder, newcomer] = [guard.open(), guard.open()];
    holder.reserve(960);
    const waiting = newcomer.reserveWhenAvailable(10);
    await settle();
    expect(guard.stats().waiting).toBe(1);
    newcomer.begin();
    await waiting;
  });

  test("a wait ends with MemoryLimitError when its time is over, and the next one gets its chance", async () => {
    const { guard, time } = guardOf();
    const waits: number[] = [];
    guard.on("wait", ({ waitMs }) => waits.push(waitMs));
    const session = guard.open();
    session.reserve(390);
    const heavy = session.reserveWhenAvailable(100, { timeoutMs: 50 });
    const light = session.reserveWhenAvailable(10, { timeoutMs: 100 });
    time.advance(50);
    await expect(heavy).rejects.toThrow(MemoryLimitError);
    await light;
    expect(session.memoryUsageBytes).toBe(400);
    expect(waits).toEqual([50, 50]);
    expect(guard.stats().limited.session).toBe(1);
  });

  test("what can never fit is refused at once", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    await expect(session.reserveWhenAvailable(401)).rejects.toThrow(MemoryLimitError);
  });

  test("the queue is bounded", async () => {
    const { guard } = guardOf({ maxWaiting: 1 });
    const session = guard.open();
    session.reserve(400);
    const waiting = session.reserveWhenAvailable(1);
    const error = await session.reserveWhenAvailable(1).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(QueueFullError);
    expect(error).toMatchObject({ code: "STREAM_GUARD_QUEUE_FULL", queueLimit: 1 });
    session.release(1);
    await waiting;
  });

  test("an aborted wait leaves the queue and its listener behind nowhere", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const controller = new AbortController();
    const { signal } = controller;
    session.reserve(400);
    const heavy = session.reserveWhenAvailable(400, { signal });
    const light = session.reserveWhenAvailable(100);
    session.release(100);
    controller.abort(new Error("enough"));
    await expect(heavy).rejects.toThrow("enough");
    await light;
    await expect(session.reserveWhenAvailable(1, { signal })).rejects.toThrow("enough");
    expect(guard.stats().waiting).toBe(0);
  });

  test("closing a session ends its waits and lets those of others through", async () => {
    const { guard, time } = guardOf();
    const [a, b, c] = [guard.open(), guard.open(), guard.open()];
    a.reserve(400);
    b.reserve(400);
    c.reserve(200);
    const own = a.reserveWhenAvailable(1);
    const other = c.reserveWhenAvailable(100);
    await settle();
    const [ended] = await Promise.allSettled([own, a.close("leaving"), other]);
    expect(ended).toMatchObject({
      status: "rejected",
      reason: { code: "STREAM_GUARD_SESSION_CLOSED" },
    });
    expect(guard.stats()).toMatchObject({ usedBytes: 700, waiting: 0 });
    expect(time.pending).toBe(1);
  });

  test("a granted reservation that loses a race with its abort is still charged exactly once", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const controller = new AbortController();
    session.reserve(400);
    const wait = session.reserveWhenAvailable(100, { signal: controller.signal });
    session.release(100);
    controller.abort();
    await wait;
    expect(session.memoryUsageBytes).toBe(400);
  });
});

describe("admission", () => {
  test("sessions are counted, and refused beyond the maximum", async () => {
    const { guard } = guardOf({ maxSessions: 2 });
    const rejected: string[] = [];
    guard.on("reject", ({ reason }) => rejected.push(reason));
    const first = guard.open();
    guard.open();
    expect(() => guard.open()).toThrow(AdmissionError);
    await first.close();
    guard.open();
    expect(rejected).toEqual(["sessions"]);
    expect(guard.stats()).toMatchObject({ sessions: 2, opened: 3, rejected: { sessions: 1 } });
  });

  test("one principal cannot take every place", async () => {
    const { guard } = guardOf({ maxSessionsPerPrincipal: 1 });
    const first = guard.open({ principal: "ann" });
    expect(thrown(() => guard.open({ principal: "ann" }))).toMatchObject({ reason: "principal" });
    guard.open({ principal: "bob" });
    await first.close();
    expect(guard.open({ principal: "ann" }).principal).toBe("ann");
  });

  test("a critical monitor refuses sessions and leaves those open alone", () => {
    const monitor = { level: "normal" as "normal" | "critical" };
    const { guard } = guardOf({ monitor });
    const session = guard.open();
    monitor.level = "critical";
    expect(thrown(() => guard.open())).toMatchObject({ reason: "pressure" });
    session.reserve(1);
  });

  test("an id that is open cannot be opened again", async () => {
    const { guard } = guardOf();
    const session = guard.open({ id: "one" });
    expect(thrown(() => guard.open({ id: "one" }))).toMatchObject({
      code: "STREAM_GUARD_INVALID_ARGUMENT",
    });
    await session.close();
    guard.open({ id: "one" });
  });

  test("aborting the signal closes the session; an aborted one opens none", async () => {
    const { guard } = guardOf();
    const controller = new AbortController();
    const session = guard.open({ signal: controller.signal });
    session.reserve(10);
    controller.abort(new Error("client left"));
    expect(session).toMatchObject({ closed: true, closeReason: "aborted", memoryUsageBytes: 0 });
    expect(() => guard.open({ signal: controller.signal })).toThrow("client left");
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { aborted: 1 } });
  });

  test("a closed guard closes its sessions, stops its timer and admits no more", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    expect(time.pending).toBe(1);
    await guard[Symbol.asyncDispose]();
    expect(session.closeReason).toBe("guard");
    expect(time.pending).toBe(0);
    expect(thrown(() => guard.open())).toMatchObject({ reason: "closed" });
  });

  test.each([
    ["maxMemoryBytes", 0],
    ["sessionMaxMemoryBytes", 2000],
    ["maxSessions", 1.5],
    ["idleTimeoutMs", -1],
    ["maxAgeMs", Number.NaN],
    ["sweepIntervalMs", 2 ** 31],
    ["now", 5],
    ["schedule", "soon"],
  ])("the wrong option %s is named", (argument, value) => {
    expect(thrown(() => guardOf({ [argument]: value }))).toMatchObject({
      code: "STREAM_GUARD_INVALID_ARGUMENT",
      argument,
    });
  });

  test.each([
    ["id", ""],
    ["principal", 7],
    ["maxMemoryBytes", 1001],
    ["idleTimeoutMs", 0],
    ["signal", {}],
  ])("the wrong open option %s is named", (argument, value) => {
    const { guard } = guardOf();
    expect(thrown(() => guard.open({ [argument]: value }))).toMatchObject({ argument });
  });

  test("the defaults hold 256 MiB, 8 MiB a session, 1000 sessions", async () => {
    await using guard = new StreamGuard();
    const session = guard.open();
    expect(session.maxMemoryBytes).toBe(8 * KIB * KIB);
    expect(session.idleTimeoutMs).toBe(300_000);
    expect(Math.abs(session.startTime - Date.now())).toBeLessThan(60_000);
    expect(guard.stats()).toMatchObject({ limitBytes: 256 * KIB * KIB, maxSessions: 1000 });
    await using small = new StreamGuard({ maxMemoryBytes: 100 });
    expect(small.open().maxMemoryBytes).toBe(100);
  });
});

test("a listener that throws disturbs nobody", async () => {
  const { guard } = guardOf();
  const warning = new Promise<Error>((resolve) => {
    process.once("warning", resolve);
  });
  for (const event of ["open", "close", "softLimit", "level"] as const)
    guard.on(event, () => {
      throw new Error("listener");
    });
  const session = guard.open();
  session.reserve(400);
  await session.close();
  expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
  expect(await warning).toMatchObject({
    code: "STREAM_GUARD_LISTENER",
    message: "a listener threw: listener",
  });
});

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("expected an error");
}
