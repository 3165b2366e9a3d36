import { describe, expect, test } from "vitest";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions, StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime } from "./fake-time.ts";

const MINUTE_MS = 60_000;

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ maxMemoryBytes: 1000, now, schedule, ...options });
  return { guard, time };
}

describe("automatic cleanup", () => {
  test("an idle session is closed and its memory comes back", () => {
    const { guard, time } = guardOf();
    const closed: unknown[] = [];
    guard.on("close", ({ reason, durationMs, peakBytes }) =>
      closed.push({ reason, durationMs, peakBytes }),
    );
    const session = guard.open();
    session.reserve(100);
    time.advance(5 * MINUTE_MS);
    expect(session.closed).toBe(false);
    time.advance(1000);
    expect(session.closeReason).toBe("idle");
    expect(closed).toEqual([{ reason: "idle", durationMs: 5 * MINUTE_MS + 1000, peakBytes: 100 }]);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
  });

  test("an hour of periodic progress is never interrupted", () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    for (let minute = 0; minute < 60; minute += 4) {
      session.reserve(10);
      session.release(10);
      time.advance(4 * MINUTE_MS);
    }
    expect(session.closed).toBe(false);
  });

  test("an operation under way for an hour is never interrupted, and idling counts from its end", () => {
    const { guard, time } = guardOf({ maxAgeMs: 10 * MINUTE_MS, idleTimeoutMs: MINUTE_MS });
    const session = guard.open();
    const operation = session.begin();
    time.advance(60 * MINUTE_MS);
    expect(session).toMatchObject({ closed: false, operations: 1 });
    time.advance(500);
    expect(session.idleForMs()).toBe(0);
    time.advance(500);
    operation[Symbol.dispose]();
    operation[Symbol.dispose]();
    expect(session.operations).toBe(0);
    time.advance(1000);
    expect(session.closeReason).toBe("maxAge");
  });

  test("touching a session keeps it", () => {
    const { guard, time } = guardOf();
    const [kept, left] = [guard.open(), guard.open()];
    time.advance(4 * MINUTE_MS);
    kept.touch();
    time.advance(2 * MINUTE_MS);
    expect(kept.closed).toBe(false);
    expect(kept.idleForMs()).toBe(2 * MINUTE_MS);
    expect(left.closed).toBe(true);
  });

  test("a session beyond its maximum age is closed however busy it was", () => {
    const { guard, time } = guardOf({ maxAgeMs: 10_000 });
    const session = guard.open();
    for (let second = 0; second < 9; second += 1) {
      session.touch();
      time.advance(1000);
    }
    expect(session.closed).toBe(false);
    time.advance(1000);
    expect(session.closeReason).toBe("maxAge");
  });

  test("each session may have its own idle timeout", () => {
    const { guard, time } = guardOf();
    const short = guard.open({ idleTimeoutMs: 2000 });
    const usual = guard.open();
    time.advance(3000);
    expect([short.closed, usual.closed]).toEqual([true, false]);
  });

  test("one timer serves all sessions, and none is left when the last one closes", async () => {
    const { guard, time } = guardOf();
    const sessions = [guard.open(), guard.open(), guard.open()];
    expect(time.pending).toBe(1);
    await Promise.all(sessions.map((session) => session.close()));
    time.advance(1000);
    expect(time.pending).toBe(0);
    guard.open();
    expect(time.pending).toBe(1);
  });

  test("at 90 % the idle give way, longest idle first, and only until the pressure is gone", () => {
    const { guard, time } = guardOf({ sessionMaxMemoryBytes: 600 });
    const evicted: unknown[] = [];
    guard.on("evict", ({ session, idleMs, freedBytes }) =>
      evicted.push([session.id, idleMs, freedBytes]),
    );
    const empty = guard.open({ id: "empty" });
    const oldest = guard.open({ id: "oldest" });
    oldest.reserve(100);
    const busy = guard.open({ id: "busy" });
    busy.reserve(100);
    busy.begin();
    time.advance(5000);
    const older = guard.open({ id: "older" });
    older.reserve(100);
    time.advance(11_000);
    const active = guard.open({ id: "active" });
    active.reserve(600);
    expect(evicted).toEqual([["oldest", 15_000, 100]]);
    expect([empty, busy, older, active].map((session) => session.closed)).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(guard.level).toBe("high");
    expect(guard.stats()).toMatchObject({ usedBytes: 800, closed: { evicted: 1 } });
  });

  test.each([
    ["closed", async (session: StreamingSession) => session.close("done"), "done"],
    ["put to work", async (session: StreamingSession) => void session.begin(), undefined],
  ])(
    "a session %s by who hears of an eviction is not evicted after it, and the next one is",
    async (_, change, reason) => {
      const { guard, time } = guardOf({ sessionMaxMemoryBytes: 600 });
      const [oldest, older, old] = ["oldest", "older", "old"].map((id) => {
        const session = guard.open({ id });
        session.reserve(id === "older" ? 10 : 100);
        time.advance(1000);
        return session;
      });
      time.advance(12_000);
      const evicted: string[] = [];
      let changed: Promise<void> | undefined;
      guard.on("evict", ({ session }) => {
        evicted.push(session.id);
        changed ??= change(older!);
      });
      const busy = guard.open({ id: "busy" });
      busy.begin();
      busy.reserve(550);
      guard.open({ id: "last" }).reserve(240);
      await changed;
      expect(evicted).toEqual(["oldest", "old"]);
      expect(older!.closeReason).toBe(reason);
      expect([oldest!.closeReason, old!.closeReason]).toEqual(["evicted", "evicted"]);
      expect(guard.stats()).toMatchObject({ evicted: { idle: 2 }, closed: { evicted: 2 } });
    },
  );

  test("a session idle for a moment is not evicted; the sweep takes it when its time has come", () => {
    const { guard, time } = guardOf({ sessionMaxMemoryBytes: 950 });
    const [first, second] = [guard.open(), guard.open()];
    first.reserve(450);
    second.reserve(500);
    expect(guard.level).toBe("critical");
    expect([first.closed, second.closed]).toEqual([false, false]);
    time.advance(20_000);
    expect([first.closed, second.closed]).toEqual([true, false]);
  });

  test("before a reservation is refused for the guard's sake, idle sessions make room", () => {
    const { guard, time } = guardOf({ sessionMaxMemoryBytes: 800 });
    const idle = guard.open();
    idle.reserve(600);
    time.advance(12_000);
    const asking = guard.open();
    asking.reserve(700);
    expect(idle.closeReason).toBe("evicted");
    expect(guard.stats().usedBytes).toBe(700);
  });

  test("who asks is never evicted for its own sake", () => {
    const { guard, time } = guardOf({ sessionMaxMemoryBytes: 1000 });
    const other = guard.open();
    other.reserve(500);
    other.begin();
    const asking = guard.open();
    asking.reserve(300);
    time.advance(12_000);
    expect(asking.tryReserve(600)).toBe(false);
    expect(asking.closed).toBe(false);
  });

  test("the level rises at once and falls with hysteresis", () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 1000 });
    const levels: string[] = [];
    guard.on("level", ({ level, previous }) => levels.push(`${previous} ${level}`));
    const session = guard.open();
    session.reserve(700);
    session.reserve(200);
    session.release(40);
    session.release(20);
    session.release(190);
    session.release(1);
    expect(levels).toEqual([
      "normal elevated",
      "elevated critical",
      "critical high",
      "high elevated",
      "elevated normal",
    ]);
    expect(guard.level).toBe("normal");
  });
});
