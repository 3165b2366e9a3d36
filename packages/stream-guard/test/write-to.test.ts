import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { PassThrough, Readable, Writable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import {
  DestinationClosedError,
  DrainTimeoutError,
  SessionClosedError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { FakeTime, settle } from "./fake-time.ts";

const KIB = 1024;
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ now, schedule, ...options });
  return { guard, time };
}

async function* repeat(chunk: Uint8Array | string, times: number) {
  for (let count = 0; count < times; count += 1) yield chunk;
}

/** A writable that hands nothing on until told to. */
function stalled(highWaterMark = 100) {
  const pending: (() => void)[] = [];
  const writable = new Writable({
    highWaterMark,
    write: (_chunk, _encoding, callback) => void pending.push(callback),
  });
  return { writable, accept: () => pending.shift()?.() };
}

test("everything is written, counted, ended and released", async () => {
  const { guard } = guardOf();
  const session = guard.open();
  const out = new PassThrough();
  const received = out.toArray();
  const result = await session.writeTo(out, repeat("grün", 3));
  expect(result).toEqual({ bytes: 15, chunks: 3 });
  expect(Buffer.concat(await received).toString()).toBe("grüngrüngrün");
  expect(session).toMatchObject({ closed: false, memoryUsageBytes: 0, operations: 0 });
});

test("a destination that is to stay open is not ended", async () => {
  const { guard } = guardOf();
  const session = guard.open();
  const out = new PassThrough();
  await session.writeTo(out, repeat("a", 2), { end: false });
  expect(out.writableEnded).toBe(false);
  expect(out.listenerCount("error")).toBe(0);
  expect(out.listenerCount("drain")).toBe(0);
});

test("it waits for the destination, and holds no more than fits there meanwhile", async () => {
  const { guard } = guardOf();
  const session = guard.open();
  const { writable, accept } = stalled();
  let pulled = 0;
  const source = (async function* () {
    for (; pulled < 6;) {
      pulled += 1;
      yield new Uint8Array(60);
    }
  })();
  const done = session.writeTo(writable, source);
  await settle();
  expect(pulled).toBe(2);
  expect(session.memoryUsageBytes).toBe(120);
  for (let count = 0; count < 6; count += 1) {
    accept();
    await settle();
  }
  expect(await done).toEqual({ bytes: 360, chunks: 6 });
  expect(session.peakBytes).toBe(120);
});

test("a writable with a huge buffer of its own still holds no more than the session's limit", async () => {
  const { guard } = guardOf();
  const session = guard.open({ maxMemoryBytes: 300 });
  const { writable, accept } = stalled(1 << 20);
  const done = session.writeTo(writable, repeat(new Uint8Array(100), 10));
  await settle();
  expect(session.memoryUsageBytes).toBe(300);
  for (let count = 0; count < 10; count += 1) {
    accept();
    await settle();
  }
  await done;
  expect(session).toMatchObject({ peakBytes: 300, memoryUsageBytes: 0 });
});

test("views that share one buffer are charged for it once", async () => {
  const { guard } = guardOf();
  const session = guard.open();
  const { writable, accept } = stalled();
  const slab = new Uint8Array(8192);
  const source = Readable.from(
    [0, 1, 2, 3].map((index) => slab.subarray(index * 10, index * 10 + 10)),
  );
  const done = session.writeTo(writable, source);
  await settle();
  expect(session.memoryUsageBytes).toBe(8192);
  for (let count = 0; count < 4; count += 1) {
    accept();
    await settle();
  }
  await done;
  expect(session).toMatchObject({ peakBytes: 8192, memoryUsageBytes: 0 });
});

describe("failing", () => {
  test("a destination that accepts nothing for drainTimeoutMs ends with DrainTimeoutError", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const { writable, accept } = stalled();
    const source = Readable.from(repeat(new Uint8Array(60), 100));
    const done = session.writeTo(writable, source, { drainTimeoutMs: 1000 });
    const failed = failureOf(done);
    await settle();
    time.advance(900);
    accept();
    await settle();
    time.advance(900);
    await settle();
    expect(session.closed).toBe(false);
    time.advance(100);
    expect(await failed).toBeInstanceOf(DrainTimeoutError);
    expect(session).toMatchObject({
      closeReason: "destination",
      memoryUsageBytes: 0,
      operations: 0,
    });
    expect([source.destroyed, writable.destroyed]).toEqual([true, true]);
    expect(time.pending).toBe(1);
  });

  test("the flush after the end is bounded as well", async () => {
    const { guard, time } = guardOf();
    const session = guard.open();
    const { writable } = stalled();
    const failed = failureOf(session.writeTo(writable, repeat("a", 1), { drainTimeoutMs: 50 }));
    await settle();
    time.advance(50);
    expect(await failed).toBeInstanceOf(DrainTimeoutError);
  });

  test("a destination that closes early ends the session and destroys the source", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const { writable } = stalled();
    const source = new Readable({ read() {} });
    const done = session.writeTo(writable, source);
    source.push("a");
    await settle();
    writable.destroy();
    await expect(done).rejects.toThrow(DestinationClosedError);
    expect(source.destroyed).toBe(true);
    expect(session.closeReason).toBe("destination");
  });

  test("the error of a destination is the cause", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const writable = new Writable({
      write: (_chunk, _encoding, callback) => callback(new Error("disk full")),
    });
    const error = await session
      .writeTo(writable, repeat("a", 3))
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "STREAM_GUARD_DESTINATION_CLOSED",
      cause: { message: "disk full" },
    });
  });

  test("a destination that has already ended is refused", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const out = new PassThrough();
    out.end();
    await expect(session.writeTo(out, repeat("a", 1))).rejects.toThrow(DestinationClosedError);
  });

  test("a source that fails destroys the destination", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const out = new PassThrough();
    const source = (async function* () {
      yield "half";
      throw new Error("upstream broke");
    })();
    await expect(session.writeTo(out, source)).rejects.toThrow("upstream broke");
    expect(out.destroyed).toBe(true);
    expect(session.closeReason).toBe("source");
  });

  test.each(["before", "while"])("an abort %s it writes ends both sides", async (when) => {
    const { guard } = guardOf();
    const session = guard.open();
    const controller = new AbortController();
    const source = new Readable({ read() {} });
    const out = new PassThrough();
    if (when === "before") controller.abort(new Error("stop"));
    const done = session.writeTo(out, source, { signal: controller.signal });
    const failed = failureOf(done);
    await settle();
    controller.abort(new Error("stop"));
    expect(await failed).toMatchObject({ message: "stop" });
    expect([source.destroyed, out.destroyed, session.closeReason]).toEqual([true, true, "aborted"]);
  });

  test("closing the session ends what it writes", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const { writable } = stalled();
    const done = session.writeTo(writable, repeat(new Uint8Array(200), 5));
    const failed = failureOf(done);
    await settle();
    await session.close("evicted");
    expect(await failed).toBeInstanceOf(SessionClosedError);
    expect(writable.destroyed).toBe(true);
    await expect(session.writeTo(new PassThrough(), repeat("a", 1))).rejects.toThrow(
      SessionClosedError,
    );
  });

  test("a wrong drainTimeoutMs is named and nothing is touched", async () => {
    const { guard } = guardOf();
    const session = guard.open();
    const out = new PassThrough();
    await expect(session.writeTo(out, repeat("a", 1), { drainTimeoutMs: 0 })).rejects.toMatchObject(
      { argument: "drainTimeoutMs" },
    );
    expect([session.closed, out.destroyed]).toEqual([false, false]);
  });
});

test("an HTTP client that does not read is held to the session's limit, and another is served", async () => {
  const limit = 256 * KIB;
  const time = new FakeTime();
  const guard = new StreamGuard({
    sessionMaxMemoryBytes: limit,
    now: time.now,
    schedule: time.schedule,
  });
  const body = new Uint8Array(64 * KIB).fill(120);
  const outcomes: Promise<unknown>[] = [];
  const entered = Promise.withResolvers<ServerResponse>();
  const server = createServer((request, response) => {
    const session = guard.open({ id: request.url ?? "" });
    if (request.url === "/slow") entered.resolve(response);
    const times = request.url === "/slow" ? 4000 : 8;
    outcomes.push(
      session
        .writeTo(response, repeat(body, times), { drainTimeoutMs: 5000 })
        .catch((error: unknown) => error),
    );
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const slow = connect(port, "127.0.0.1");
  slow.pause();
  slow.write("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  const response = await entered.promise;
  await stillness(() => response.socket?.bytesWritten ?? 0);
  expect(response.writableNeedDrain).toBe(true);
  expect(response.writableLength).toBeLessThanOrEqual(limit);
  expect(guard.stats().peakBytes).toBeLessThanOrEqual(limit);

  const other = await fetch(`http://127.0.0.1:${port}/fast`);
  expect((await other.arrayBuffer()).byteLength).toBe(8 * body.byteLength);

  // What the system took without an event is noticed a quarter late.
  time.advance(6250);
  expect(await outcomes[0]).toBeInstanceOf(DrainTimeoutError);
  expect(await outcomes[1]).toEqual({ bytes: 8 * body.byteLength, chunks: 8 });
  expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { destination: 1 } });
  slow.destroy();
});

/** Resolves when `read` has stayed the same for many turns of the event loop. */
async function stillness(read: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 200; still += 1) {
    const value = read();
    if (value !== last) still = 0;
    last = value;
    await settle();
  }
}

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "nothing",
    (error: unknown) => error,
  );
}
