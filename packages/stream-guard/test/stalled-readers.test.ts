import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { ReaderStalledError, SessionClosedError, StreamGuard } from "@mcp-accel/stream-guard";
import type { ReaderWait, StreamGuardOptions, StreamingSession } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ maxMemoryBytes: 1000, now, schedule, ...options });
  return { guard, time };
}

/** A reader whose bytes are reserved in `session`. */
function readerOf(session: StreamingSession, wait: ReaderWait = "blocked") {
  let taken = 0;
  session.watchReader({
    heldBytes: () => session.memoryUsageBytes,
    taken: () => taken,
    wait: () => wait,
  });
  return {
    take(bytes: number) {
      taken += bytes;
      session.release(bytes);
    },
  };
}

function open(guard: StreamGuard, id: string, bytes: number, wait?: ReaderWait) {
  const session = guard.open({ id });
  const reader = readerOf(session, wait);
  session.reserve(bytes);
  return { session, reader };
}

describe("without pressure", () => {
  test("a reader that takes nothing for the stall timeout loses its session, with an error that says so", () => {
    const { guard, time } = guardOf();
    const { session } = open(guard, "dead", 100);
    session.begin();
    time.advance(30_000);
    expect(session.closed).toBe(false);
    time.advance(2000);
    expect(session.closeReason).toBe("stalled");
    expect(guard.stats()).toMatchObject({
      usedBytes: 0,
      closed: { stalled: 1 },
      evicted: { stalled: 0, idle: 0 },
    });
    const error: unknown = session.signal.reason;
    expect(error).toBeInstanceOf(SessionClosedError);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_READER_STALLED",
      reason: "stalled",
      heldBytes: 100,
      stalledMs: 30_000,
    });
    expect(() => session.reserve(1)).toThrow(ReaderStalledError);
  });

  test("a slow reader is never cut, however long it takes, as long as it takes something", () => {
    const { guard, time } = guardOf();
    const { session, reader } = open(guard, "slow", 200);
    for (let taken = 0; taken < 199; taken += 1) {
      time.advance(29_000);
      reader.take(1);
    }
    expect(session.closed).toBe(false);
    time.advance(32_000);
    expect(session.closed).toBe(true);
  });

  test("a stream that holds no bytes is never cut, and one that begins to hold some has its whole time", () => {
    const { guard, time } = guardOf();
    const session = guard.open({ idleTimeoutMs: 86_400_000 });
    readerOf(session);
    time.advance(3_600_000);
    session.reserve(10);
    time.advance(29_000);
    expect(session.closed).toBe(false);
    time.advance(3000);
    expect(session.closeReason).toBe("stalled");
  });

  test("memory that is reserved for something else than a reader is no stall", () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    session.watchReader({ heldBytes: () => 0, taken: () => 0 });
    session.reserve(100);
    session.begin();
    time.advance(3_600_000);
    expect(session.closed).toBe(false);
  });

  test("a session may have its own timeout, and a reader no longer watched counts no more", () => {
    const { guard, time } = guardOf();
    const patient = guard.open({ stallTimeoutMs: 120_000 });
    readerOf(patient);
    patient.reserve(10);
    const left = guard.open();
    const stop = left.watchReader({ heldBytes: () => 10, taken: () => 0 });
    time.advance(20_000);
    stop();
    time.advance(90_000);
    expect([patient.closed, left.closed]).toEqual([false, false]);
    time.advance(12_000);
    expect(patient.closeReason).toBe("stalled");
  });

  test("the session goes with the one reader of several that stalled", () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    let taken = 0;
    session.watchReader({ heldBytes: () => 5, taken: () => (taken += 1) });
    session.watchReader({ heldBytes: () => 7, taken: () => 0 });
    time.advance(32_000);
    expect(session.signal.reason).toMatchObject({ heldBytes: 7 });
  });

  test("a response behind a silent one is left alone", () => {
    const { guard, time } = guardOf();
    const { session } = open(guard, "behind", 100, "behind");
    session.begin();
    time.advance(3_600_000);
    expect(session.closed).toBe(false);
  });

  test("time in which the process was held up does not count against readers", () => {
    let at = 0;
    const timers: (() => void)[] = [];
    const guard = new StreamGuard({
      now: () => at,
      schedule: (callback) => {
        timers.push(callback);
        return () => {};
      },
    });
    const { session, reader } = open(guard, "waiting", 100);
    session.begin();
    const wake = (ms: number) => {
      at += ms;
      timers.shift()?.();
    };
    wake(1000);
    wake(600_000);
    expect(session.closed).toBe(false);
    reader.take(1);
    for (let second = 0; second < 30; second += 1) wake(1000);
    expect(session.closed).toBe(false);
    wake(1000);
    expect(session.closeReason).toBe("stalled");
  });
});

describe("under pressure", () => {
  test("stalled readers give way at 80 %, longest stalled first, until new sessions are admitted again", () => {
    const { guard, time } = guardOf();
    const evicted: unknown[] = [];
    guard.on("evict", ({ session, reason, freedBytes }) =>
      evicted.push([session.id, reason, freedBytes]),
    );
    const first = open(guard, "first", 100);
    time.advance(1000);
    const second = open(guard, "second", 100);
    time.advance(1000);
    const third = open(guard, "third", 100);
    const busy = open(guard, "busy", 400);
    for (const { session } of [first, second, third, busy]) session.begin();
    time.advance(1000);
    busy.reader.take(10);
    busy.session.reserve(155);
    expect(guard.level).toBe("elevated");
    expect(evicted).toEqual([["first", "stalled", 100]]);
    expect(first.session.signal.reason).toMatchObject({ reason: "evicted", heldBytes: 100 });
    guard.open({ id: "good" });
    expect([second, third, busy].map(({ session }) => session.closed)).toEqual([
      false,
      false,
      false,
    ]);
    expect(guard.stats()).toMatchObject({ closed: { evicted: 1 }, evicted: { stalled: 1 } });
    const family = guard
      .metricFamilies()
      .find(({ name }) => name === "stream_guard_sessions_evicted_total");
    expect(family?.type === "counter" && family.read()).toContainEqual({
      value: 1,
      labels: { reason: "stalled" },
    });
  });

  test("good clients are admitted again about a second after the last readers stopped, however rare sweeps are", () => {
    const { guard, time } = guardOf({ sweepIntervalMs: 10_000 });
    for (let index = 0; index < 8; index += 1) open(guard, `dead ${index}`, 100).session.begin();
    expect(() => guard.open()).toThrow("80 %");
    time.advance(999);
    expect(() => guard.open()).toThrow("80 %");
    time.advance(1);
    guard.open({ id: "good" });
    expect(guard.stats()).toMatchObject({ usedBytes: 700, evicted: { stalled: 1 } });
  });

  test("who takes something within the grace is spared, though the level stays", () => {
    const { guard, time } = guardOf();
    const { session, reader } = open(guard, "slow", 900);
    for (let step = 0; step < 20; step += 1) {
      time.advance(750);
      reader.take(1);
    }
    expect(guard.level).toBe("critical");
    expect(session.closed).toBe(false);
  });

  test("the level is left with hysteresis: enough give way to fall below 75 %, no more", () => {
    const { guard, time } = guardOf();
    for (let index = 0; index < 20; index += 1) open(guard, `dead ${index}`, 40);
    time.advance(1500);
    expect(guard.stats()).toMatchObject({ usedBytes: 720, sessions: 18 });
    expect(guard.level).toBe("elevated");
  });

  test("the stalled go before the idle, and the idle only at 90 %", () => {
    const { guard, time } = guardOf();
    const idle = guard.open({ id: "idle" });
    idle.reserve(500);
    time.advance(20_000);
    const dead = open(guard, "dead", 200);
    time.advance(2000);
    guard.open({ id: "asking" }).reserve(250);
    expect([dead.session.closeReason, idle.closed]).toEqual(["evicted", false]);
  });

  test("before a reservation is refused for the guard's sake, stalled readers make room", () => {
    const { guard, time } = guardOf();
    const dead = open(guard, "dead", 300);
    const asking = guard.open();
    asking.reserve(400);
    time.advance(2000);
    asking.reserve(600);
    expect(dead.session.closeReason).toBe("evicted");
    expect(asking.memoryUsageBytes).toBe(1000);
  });

  test("who asks is not closed for its own sake, though its reader stalled", () => {
    const { guard, time } = guardOf();
    guard.open().reserve(350);
    const { session } = open(guard, "asking", 400);
    time.advance(2000);
    expect(session.tryReserve(300)).toBe(false);
    expect(session.closed).toBe(false);
  });

  test("what waits behind a long operation gives way only after the whole stall timeout", () => {
    const { guard, time } = guardOf();
    const { session } = open(guard, "behind", 850, "behind");
    session.begin();
    time.advance(29_999);
    expect(session.closed).toBe(false);
    time.advance(1);
    expect(session.closeReason).toBe("evicted");
  });

  test("a consumer at work on a batch has the whole stall timeout too", () => {
    const { guard, time } = guardOf();
    const { session } = open(guard, "holding", 850, "holding");
    time.advance(10_000);
    expect(session.closed).toBe(false);
  });

  test("one timer serves it all", () => {
    const { guard, time } = guardOf();
    for (let index = 0; index < 8; index += 1) open(guard, `dead ${index}`, 100);
    expect(time.pending).toBe(1);
    time.advance(1500);
    expect(time.pending).toBe(1);
    for (const session of guard.sessions()) void session.close();
    time.advance(1000);
    expect(time.pending).toBe(0);
  });
});

/** A transport that writes lines to a pipe, whose reader takes one whenever it is told to. */
function piped(guard: StreamGuard) {
  const pending: (() => void)[] = [];
  const pipe = new Writable({
    highWaterMark: 10,
    write: (_chunk, _encoding, callback) => void pending.push(callback),
  });
  const errors: Error[] = [];
  const transport = guardTransport(
    {
      send: async (message: object) => void pipe.write(JSON.stringify(message)),
      close: async () => {},
      onerror: (error: Error) => void errors.push(error),
    },
    guard,
    { destination: pipe },
  );
  return { pipe, errors, transport, take: () => pending.shift()?.() };
}

describe("destinations", () => {
  test("writeTo to a writable that takes nothing ends with the session's error", async () => {
    const { guard, time } = guardOf();
    const session = guard.open({ stallTimeoutMs: 5000 });
    const out = new Writable({ write: () => {} });
    const source = (async function* () {
      yield "a";
    })();
    const written = session.writeTo(out, source).catch((error: unknown) => error);
    await settle();
    time.advance(7000);
    expect(await written).toBeInstanceOf(ReaderStalledError);
    expect(out.destroyed).toBe(true);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { stalled: 1 } });
  });

  test("writeTo waits for a slow source as long as it takes", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const gate = Promise.withResolvers<string>();
    const source = (async function* () {
      yield "a";
      yield await gate.promise;
    })();
    const written = session.writeTo(new PassThrough().resume(), source);
    await settle();
    time.advance(3_600_000);
    gate.resolve("b");
    expect(await written).toEqual({ bytes: 2, chunks: 2 });
  });

  test("a transport whose destination stalls is closed, and what it buffered goes with it", async () => {
    const { guard, time } = guardOf({ maxMemoryBytes: 1 << 20 });
    const { pipe, errors, transport } = piped(guard);
    await transport.send({ id: 1, result: "x".repeat(1000) });
    expect(guard.stats().usedBytes).toBeGreaterThan(1000);
    time.advance(32_000);
    await settle();
    expect(pipe.destroyed).toBe(true);
    expect(errors).toEqual([expect.objectContaining({ code: "STREAM_GUARD_READER_STALLED" })]);
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0, closed: { stalled: 1 } });
  });

  test("a destination that takes as much as is sent, so that its backlog never changes, is not cut", async () => {
    const { guard, time } = guardOf({ maxMemoryBytes: 1 << 20 });
    const { pipe, transport, take } = piped(guard);
    for (let count = 0; count < 10; count += 1) await transport.send({ id: 1, result: "same" });
    const backlog = pipe.writableLength;
    for (let second = 0; second < 120; second += 1) {
      take();
      await settle();
      await transport.send({ id: 1, result: "same" });
      expect(pipe.writableLength).toBe(backlog);
      time.advance(1000);
    }
    expect(guard.stats().sessions).toBe(1);
    time.advance(32_000);
    expect(guard.stats().sessions).toBe(0);
    await settle();
  });
});

test.each<[string, StreamGuardOptions]>([
  ["stallTimeoutMs", { stallTimeoutMs: 0 }],
  ["stallTimeoutMs", { stallTimeoutMs: 2 ** 31 }],
  ["pressureStallTimeoutMs", { pressureStallTimeoutMs: -1 }],
  ["pressureStallTimeoutMs", { stallTimeoutMs: 500, pressureStallTimeoutMs: 501 }],
])("the wrong option %s is named", (argument, options) => {
  expect(() => new StreamGuard(options)).toThrow(expect.objectContaining({ argument }));
});

test("a session's wrong stallTimeoutMs is named", () => {
  expect(() => new StreamGuard().open({ stallTimeoutMs: -1 })).toThrow(
    expect.objectContaining({ argument: "stallTimeoutMs" }),
  );
});
