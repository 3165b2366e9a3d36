import * as fc from "fast-check";
import { expect, test } from "vitest";
import { StreamGuard, StreamGuardError } from "@mcp-accel/stream-guard";
import type { StreamingSession } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

const LIMIT = 1000;
const SESSION_LIMIT = 400;

const step = fc.record({
  action: fc.constantFrom(
    "open",
    "reserve",
    "tryReserve",
    "wait",
    "release",
    "releaseTwice",
    "close",
    "begin",
    "end",
    "abort",
    "advance",
  ),
  session: fc.nat(7),
  bytes: fc.oneof(fc.nat(450), fc.constantFrom(-1, 0.5, Number.NaN)),
});

/** What the tested sessions should hold, kept beside them. */
class Model {
  readonly time = new FakeTime();
  readonly guard: StreamGuard = new StreamGuard({
    maxMemoryBytes: LIMIT,
    sessionMaxMemoryBytes: SESSION_LIMIT,
    maxSessions: 6,
    maxWaiting: 3,
    reserveTimeoutMs: 5000,
    idleTimeoutMs: 60_000,
    evictAfterIdleMs: 1000,
    now: this.time.now,
    schedule: this.time.schedule,
  });
  readonly slots: (StreamingSession | undefined)[] = [];
  readonly controllers = new Map<StreamingSession, AbortController>();
  readonly held = new Map<StreamingSession, number>();
  readonly operations = new Map<StreamingSession, Disposable[]>();
  readonly waits: Promise<unknown>[] = [];

  run({ action, session: slot, bytes }: { action: string; session: number; bytes: number }): void {
    const session = this.slots[slot];
    if (action === "open") this.open(slot);
    else if (action === "advance")
      this.time.advance(Number.isNaN(bytes) ? 1 : Math.abs(bytes) * 20);
    else if (session !== undefined) this.use(action, session, bytes);
  }

  open(slot: number): void {
    const controller = new AbortController();
    const session = this.guard.open({ signal: controller.signal });
    this.slots[slot] = session;
    this.controllers.set(session, controller);
    this.held.set(session, 0);
  }

  use(action: string, session: StreamingSession, bytes: number): void {
    if (action === "reserve") {
      session.reserve(bytes);
      this.add(session, bytes);
    } else if (action === "tryReserve") {
      if (session.tryReserve(bytes)) this.add(session, bytes);
    } else if (action === "wait") {
      this.waits.push(
        session.reserveWhenAvailable(bytes).then(() => this.add(session, bytes), typed),
      );
    } else if (action === "release" || action === "releaseTwice") {
      session.release(bytes);
      this.add(session, -bytes);
      if (action === "releaseTwice") this.use("release", session, bytes);
    } else if (action === "close") void session.close();
    else if (action === "abort") this.controllers.get(session)?.abort();
    else if (action === "begin")
      this.operations.set(session, [...(this.operations.get(session) ?? []), session.begin()]);
    else this.operations.get(session)?.pop()?.[Symbol.dispose]();
  }

  add(session: StreamingSession, bytes: number): void {
    if (!session.closed) this.held.set(session, (this.held.get(session) ?? 0) + bytes);
  }

  /** What is wrong with the books now. */
  mistakes(): string[] {
    const sessions = this.guard.sessions();
    const { usedBytes, peakBytes } = this.guard.stats();
    const sum = sessions.reduce((total, session) => total + session.memoryUsageBytes, 0);
    return [
      ...(usedBytes === sum ? [] : [`the guard says ${usedBytes}, its sessions ${sum}`]),
      ...(peakBytes <= LIMIT ? [] : [`the guard held ${peakBytes}`]),
      ...sessions
        .filter((session) => session.memoryUsageBytes !== this.held.get(session))
        .map((session) => `${session.memoryUsageBytes} instead of ${this.held.get(session)}`),
      ...sessions
        .filter((session) => session.peakBytes > SESSION_LIMIT)
        .map((session) => `a session held ${session.peakBytes}`),
    ];
  }
}

/** Misuse ends in an error of the package; anything else is a bug. */
function typed(error: unknown): void {
  if (!(error instanceof StreamGuardError)) throw error;
}

test("over random operations and misuse the ledger is exact, below its limits, and ends at zero", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 200 }), async (steps) => {
      const model = new Model();
      for (const next of steps) {
        try {
          model.run(next);
        } catch (error) {
          typed(error);
        }
        await settle();
        expect(model.mistakes()).toEqual([]);
      }
      await model.guard.close();
      await Promise.all(model.waits);
      expect(model.guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0, waiting: 0 });
      expect(model.time.pending).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test("a million operations never exceed the limit and end at zero", async () => {
  await using guard = new StreamGuard({
    maxMemoryBytes: 1 << 20,
    sessionMaxMemoryBytes: 1 << 18,
    maxSessions: 8,
  });
  const sessions = Array.from({ length: 8 }, () => guard.open());
  const held = sessions.map((): number[] => []);
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed;
  };
  for (let count = 0; count < 1e6; count += 1) {
    const index = (random() >>> 8) & 7;
    const bytes = (random() >>> 8) & 0xffff;
    const freed = random() & 0x100 ? held[index]?.pop() : undefined;
    if (freed !== undefined) sessions[index]?.release(freed);
    else if (sessions[index]?.tryReserve(bytes) === true) held[index]?.push(bytes);
  }
  const { peakBytes } = guard.stats();
  expect(peakBytes).toBeGreaterThan(1 << 19);
  expect(peakBytes).toBeLessThanOrEqual(1 << 20);
  for (const [index, chunks] of held.entries())
    for (const bytes of chunks) sessions[index]?.release(bytes);
  expect(guard.stats().usedBytes).toBe(0);
});
