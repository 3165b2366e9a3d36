import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { PassThrough, Readable, Writable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import {
  AdmissionError,
  InvalidArgumentError,
  MemoryLimitError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { HookLevel, StreamGuardOptions } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

const HOUR_MS = 3_600_000;
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({
    maxMemoryBytes: 1000,
    sessionMaxMemoryBytes: 1000,
    now,
    schedule,
    ...options,
  });
  const ballast = guard.open({ id: "ballast" });
  ballast.begin();
  /** Brings what the ballast holds to `bytes`. */
  const hold = (bytes: number): void => {
    const change = bytes - ballast.memoryUsageBytes;
    if (change > 0) ballast.reserve(change);
    else ballast.release(-change);
  };
  return { guard, time, hold };
}

/** A source that counts how often it is asked. */
function counted(bytes: number) {
  const source = {
    asked: 0,
    async *[Symbol.asyncIterator]() {
      for (;;) {
        source.asked += 1;
        yield new Uint8Array(bytes);
      }
    },
  };
  return source;
}

/** A writable that hands nothing on until told to. */
function stalled() {
  const pending: (() => void)[] = [];
  const writable = new Writable({
    highWaterMark: 1 << 20,
    write: (_chunk, _encoding, callback) => void pending.push(callback),
  });
  return { writable, accept: () => pending.shift()?.() };
}

describe("70 %: caches shrink", () => {
  test("hooks run when their level is entered from below, and again after the way back", async () => {
    const { guard, hold } = guardOf();
    const runs: string[] = [];
    const remove = guard.addHook("elevated", ({ level, usedBytes }) => {
      runs.push(`elevated hook at ${level}, ${usedBytes}`);
    });
    guard.addHook("high", async ({ level }) => void runs.push(`high hook at ${level}`));
    for (const bytes of [699, 700, 750, 660, 710, 640, 705, 0, 950]) {
      hold(bytes);
      await settle();
    }
    remove();
    hold(0);
    hold(750);
    expect(runs).toEqual([
      "elevated hook at elevated, 700",
      "elevated hook at elevated, 705",
      "elevated hook at critical, 950",
      "high hook at critical",
    ]);
    expect(guard.stats()).toMatchObject({ hooksRun: 4, hookErrors: 0 });
  });

  test("a hook that fails or hangs disturbs neither the ledger nor the others", async () => {
    const { guard, hold } = guardOf();
    const errors: unknown[] = [];
    let ran = 0;
    guard.on("hookError", ({ level, error }) => errors.push([level, (error as Error).message]));
    guard.addHook("elevated", () => {
      throw new Error("no");
    });
    guard.addHook("elevated", () => new Promise(() => {}));
    guard.addHook("elevated", () => void (ran += 1));
    for (const bytes of [700, 0, 700]) {
      hold(bytes);
      await settle();
    }
    expect(errors).toEqual([
      ["elevated", "no"],
      ["elevated", "no"],
    ]);
    expect(ran).toBe(2);
    expect(guard.stats()).toMatchObject({ usedBytes: 700, hooksRun: 5, hookErrors: 2 });
  });

  test.each(["normal", "full", undefined])("there are no hooks for %s", (level) => {
    const { guard } = guardOf();
    expect(() => guard.addHook(level as HookLevel, () => {})).toThrow(InvalidArgumentError);
  });
});

describe("80 %: sources pause", () => {
  test("a stream that holds bytes asks its source for no more until it has handed them on", async () => {
    const { guard, hold } = guardOf();
    const session = guard.open();
    const source = counted(10);
    const { writable, accept } = stalled();
    session.writeTo(writable, source).catch(() => {});
    hold(800);
    await settle();
    const { asked } = source;
    expect(guard.stats()).toMatchObject({ level: "high", pausedSources: 1, pauses: 1 });
    await settle();
    expect(source.asked).toBe(asked);
    while (session.memoryUsageBytes > 0) accept();
    await settle();
    expect(source.asked).toBe(asked + 1);
    expect(guard.stats().pausedSources).toBe(1);
    await session.close();
  });

  test("they go on when the level falls, not where it rose", async () => {
    const { guard, hold } = guardOf();
    const session = guard.open();
    const source = counted(10);
    const batches = session.pipe(source);
    session.reserve(10);
    hold(790);
    const next = batches.next();
    await settle();
    expect(source.asked).toBe(0);
    hold(745);
    await settle();
    expect(source.asked).toBe(0);
    hold(730);
    expect((await next).done).toBe(false);
    expect(guard.stats()).toMatchObject({ pausedSources: 0, pauses: 1 });
  });

  test("a source paused for maxPauseMs may read one more chunk, so that what is slow still ends", async () => {
    const { guard, time, hold } = guardOf({ maxPauseMs: 500 });
    const session = guard.open();
    const source = counted(1);
    const batches = session.pipe(source);
    session.reserve(10);
    hold(800);
    for (let chunks = 1; chunks <= 5; chunks += 1) {
      const next = batches.next();
      time.advance(499);
      await settle();
      expect(source.asked).toBe(chunks - 1);
      time.advance(1);
      await next;
      expect(source.asked).toBe(chunks);
    }
  });

  test("a stream that holds nothing goes on: others' full buffers do not slow it down", async () => {
    const { guard, hold } = guardOf();
    const session = guard.open();
    hold(850);
    const source = counted(10);
    const batches = session.pipe(source);
    for (let chunk = 0; chunk < 100; chunk += 1) await batches.next();
    expect(source.asked).toBe(100);
    expect(guard.stats().pauses).toBe(0);
  });

  test.each(["return", "close", "abort"])("%s ends a pause", async (how) => {
    const { guard, time, hold } = guardOf();
    const controller = new AbortController();
    const session = guard.open({ signal: controller.signal });
    const source = counted(10);
    const batches = session.pipe(source);
    session.reserve(10);
    hold(800);
    const next = batches.next().catch((error: Error) => error.name);
    await settle();
    expect(guard.stats().pausedSources).toBe(1);
    if (how === "return") await batches.return();
    else if (how === "close") await session.close();
    else controller.abort();
    const ended = how === "return" ? { done: true, value: undefined } : "SessionClosedError";
    expect(await next).toEqual(ended);
    expect(source.asked).toBe(0);
    expect([session.operations, guard.stats().pausedSources]).toEqual([0, 0]);
    await session.close();
    expect(time.pending).toBe(1);
  });

  test("a writeTo that fails during its pause ends at once", async () => {
    const { guard, hold } = guardOf();
    const session = guard.open();
    const { writable } = stalled();
    const done = session.writeTo(writable, counted(10)).catch((error: unknown) => error);
    hold(800);
    await settle();
    expect(guard.stats().pausedSources).toBe(1);
    writable.destroy();
    expect(await done).toMatchObject({ code: "STREAM_GUARD_DESTINATION_CLOSED" });
    expect(guard.stats()).toMatchObject({ pausedSources: 0, usedBytes: 800 });
  });

  test("a Readable is not read, and reads no further than its own buffer", async () => {
    const { guard, hold } = guardOf();
    const session = guard.open();
    let produced = 0;
    const source = new Readable({
      highWaterMark: 40,
      read() {
        produced += 10;
        this.push(new Uint8Array(10));
      },
    });
    const batches = session.pipe(source);
    session.reserve(10);
    hold(800);
    const next = batches.next();
    for (let turn = 0; turn < 20; turn += 1) await settle();
    expect(produced).toBe(0);
    hold(0);
    await next;
    expect(produced).toBeGreaterThan(0);
  });

  test("a socket that is paused holds its sender back", async () => {
    const { guard, hold } = guardOf({
      maxMemoryBytes: 100_000_000,
      sessionMaxMemoryBytes: 100_000_000,
    });
    const sender = Promise.withResolvers<Socket>();
    const server = createServer((socket) => {
      sender.resolve(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const source = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const socket = await sender.promise;
    socket.on("error", () => {});
    const chunk = new Uint8Array(1 << 20);
    const push = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", push);
    push();
    const session = guard.open();
    const { writable, accept } = stalled();
    session.writeTo(writable, source).catch(() => {});
    hold(80_000_000);
    const read = await still(() => source.bytesRead);
    expect(guard.stats().pausedSources).toBe(1);
    expect(read).toBeLessThan(3 << 20);
    expect(socket.writableLength).toBeGreaterThan(0);
    await still(() => socket.bytesWritten);
    hold(0);
    while (source.bytesRead < 50_000_000 && !source.destroyed) {
      accept();
      await settle();
    }
    expect(source.bytesRead).toBeGreaterThanOrEqual(50_000_000);
    await session.close();
    source.destroy();
    socket.destroy();
  });

  test("new sessions are refused until the level falls again", () => {
    const { guard, hold } = guardOf();
    hold(800);
    expect(() => guard.open()).toThrow(AdmissionError);
    hold(760);
    expect(() => guard.open()).toThrow(expect.objectContaining({ reason: "memory" }));
    hold(749);
    guard.open();
  });
});

describe("95 %: newcomers are refused", () => {
  test("from 95 % on, and until it is below 90 %", () => {
    const { guard, hold } = guardOf();
    const newcomer = guard.open();
    hold(949);
    expect(newcomer.tryReserve(1)).toBe(true);
    newcomer.release(1);
    hold(950);
    expect(newcomer.tryReserve(1)).toBe(false);
    hold(901);
    expect(newcomer.tryReserve(1)).toBe(false);
    expect(() => newcomer.reserve(1)).toThrow(expect.objectContaining({ scope: "guard" }));
    hold(899);
    newcomer.reserve(1);
  });

  test("whoever holds memory or is at work may take the rest", async () => {
    const { guard, hold } = guardOf();
    const [holder, worker] = [guard.open(), guard.open()];
    holder.reserve(1);
    hold(949);
    holder.reserve(10);
    const operation = worker.begin();
    worker.reserve(10);
    worker.release(10);
    operation[Symbol.dispose]();
    expect(worker.tryReserve(10)).toBe(false);
  });

  test("a newcomer that only waits for memory is not at work", async () => {
    const { guard, hold } = guardOf();
    const newcomer = guard.open();
    hold(950);
    const waiting = newcomer.reserveWhenAvailable(10);
    await settle();
    hold(940);
    await settle();
    expect(guard.stats()).toMatchObject({ usedBytes: 940, waiting: 1 });
    hold(880);
    await waiting;
  });
});

describe("100 %: that session fails", () => {
  test("a stream that finds no room in time fails with MemoryLimitError, and only its session", async () => {
    const { guard, time, hold } = guardOf({ reserveTimeoutMs: 1000 });
    const [session, other] = [guard.open(), guard.open()];
    const next = session.pipe(counted(10)).next();
    hold(1000);
    const failed = next.catch((error: unknown) => error);
    await settle();
    time.advance(1000);
    expect(await failed).toBeInstanceOf(MemoryLimitError);
    expect([session.closeReason, other.closed]).toEqual(["limit", false]);
    expect(guard.stats()).toMatchObject({ usedBytes: 1000, peakBytes: 1000 });
  });
});

describe("no flapping", () => {
  test("a walk around a threshold changes the level only when it has come 5 points back", () => {
    const { guard, hold } = guardOf({ maxMemoryBytes: 10_000, sessionMaxMemoryBytes: 10_000 });
    const changes: { rising: boolean; usedBytes: number }[] = [];
    const order = ["normal", "elevated", "high", "critical"];
    guard.on("level", ({ level, previous, usedBytes }) =>
      changes.push({ rising: order.indexOf(level) > order.indexOf(previous), usedBytes }),
    );
    let crossings = 0;
    for (const threshold of [7000, 8000, 9000]) {
      let at = threshold;
      for (let step = 0; step < 20_000; step += 1) {
        const before = at;
        const pull = (threshold - at) / 400;
        at = Math.round(at + Math.sin(step * 12.9898 + threshold) * 60 + pull);
        if (before < threshold !== at < threshold) crossings += 1;
        hold(Math.max(0, Math.min(10_000, at)));
      }
    }
    expect(crossings).toBeGreaterThan(3000);
    expect(changes.length).toBeLessThan(crossings / 50);
    for (const [index, change] of changes.entries()) {
      const previous = changes[index - 1];
      if (previous === undefined || previous.rising === change.rising) continue;
      expect(Math.abs(change.usedBytes - previous.usedBytes)).toBeGreaterThan(400);
    }
  });
});

describe("a legitimate long operation", () => {
  test.each([
    ["normal", 0],
    ["elevated", 700],
    ["high", 800],
    ["critical", 900],
    ["critical, newcomers refused", 960],
  ])("is not cut for an hour while the guard is %s", async (level, bytes) => {
    const { guard, time, hold } = guardOf({ maxAgeMs: HOUR_MS / 2, idleTimeoutMs: 60_000 });
    const [session, piped] = [guard.open(), guard.open()];
    const out = new PassThrough();
    let received = 0;
    out.on("data", (chunk: Uint8Array) => (received += chunk.byteLength));
    const written = session.writeTo(out, everyHalfMinute(time), { drainTimeoutMs: 1000 });
    let delivered = 0;
    const read = (async () => {
      for await (const batch of piped.pipe(everyHalfMinute(time))) delivered += batch[0]!.length;
    })();
    hold(bytes);
    await settle();
    for (let elapsedMs = 0; elapsedMs < HOUR_MS; elapsedMs += 10_000) {
      expect(guard.level).toBe(level.split(",")[0]);
      time.advance(10_000);
      await settle();
    }
    await Promise.all([written, read]);
    expect([received, delivered]).toEqual([120 * 7, 120 * 7]);
    expect([session.closed, piped.closed]).toEqual([false, false]);
  });
});

async function* everyHalfMinute(time: FakeTime): AsyncGenerator<Uint8Array> {
  for (let chunk = 0; chunk < 120; chunk += 1) {
    await new Promise<void>((resolve) => time.schedule(resolve, 30_000));
    yield new Uint8Array(7);
  }
}

/** Resolves with what `read` says once that has stayed the same for many turns of the event loop. */
async function still(read: () => number): Promise<number> {
  let last = -1;
  for (let turns = 0; turns < 200; turns += 1) {
    const value = read();
    if (value !== last) turns = 0;
    last = value;
    await settle();
  }
  return last;
}
