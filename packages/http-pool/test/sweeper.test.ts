import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { FakeTime, turn } from "./helpers/fake-time.ts";
import { rejection, times } from "./helpers/outcome.ts";
import { ok, RawServer } from "./helpers/raw-server.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
/** The sweep comes four times within that, and listens for another 10 ms. */
const BODY_TIMEOUT_MS = 1000;
const LISTEN_MS = 10;

interface Answer {
  readonly controller: Dispatcher.DispatchController;
  readonly ended: Promise<Error | undefined>;
}

function answerOf(pool: ConnectionPool): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const ended = Promise.withResolvers<Error | undefined>();
  pool.dispatch(
    { path: "/", method: "GET" },
    {
      onRequestStart: () => undefined,
      onResponseStart: (controller) => resolve({ controller, ended: ended.promise }),
      onResponseEnd: () => ended.resolve(undefined),
      onResponseError: (_controller, error) => ended.resolve(error),
    },
  );
  return promise;
}

function timed(server: RawServer, options: ConnectionPoolOptions = {}): [ConnectionPool, FakeTime] {
  const time = new FakeTime();
  const { now, schedule } = time;
  const bodyTimeoutMs = BODY_TIMEOUT_MS;
  return [new ConnectionPool(server.origin, { bodyTimeoutMs, now, schedule, ...options }), time];
}

describe("a body that is silent", () => {
  test("is not one that came while this process stood still", async () => {
    await using server = await new RawServer((socket) => socket.write(HEAD)).start();
    const [pool, time] = timed(server);
    const { ended } = await answerOf(pool);
    // What comes now is read after the timers of a process that stood still.
    for (const socket of server.open) socket.write("x".repeat(99));
    time.advance(BODY_TIMEOUT_MS);
    await turn();
    await turn();
    time.advance(LISTEN_MS);
    expect(pool.stats()).toMatchObject({ active: 1, failed: 0 });
    time.advance(BODY_TIMEOUT_MS + LISTEN_MS);
    expect(await ended).toMatchObject({ code: "HTTP_POOL_BODY_TIMEOUT" });
    await pool.close();
  });

  test("is not one that its reader had paused until a moment ago", async () => {
    await using server = await new RawServer((socket) => socket.write(HEAD)).start();
    const [pool, time] = timed(server);
    const { controller, ended } = await answerOf(pool);
    controller.pause();
    time.advance(BODY_TIMEOUT_MS - 100);
    controller.resume();
    time.advance(BODY_TIMEOUT_MS - 100);
    expect(pool.stats()).toMatchObject({ active: 1, failed: 0 });
    time.advance(500);
    expect(await ended).toMatchObject({ code: "HTTP_POOL_BODY_TIMEOUT" });
    await pool.close();
  });

  test("nothing is listened to after the pool has ended", async () => {
    await using server = await new RawServer((socket) => socket.write(HEAD)).start();
    const [pool, time] = timed(server);
    const { ended } = await answerOf(pool);
    time.advance(BODY_TIMEOUT_MS);
    await pool.destroy();
    expect(await ended).toMatchObject({ code: "HTTP_POOL_CLOSED" });
    expect(time.pending).toBe(0);
  });
});

describe("minIdle of an upstream that cannot be reached", () => {
  test("costs one attempt a while, ever more seldom, and is filled once it is back", async () => {
    const server = await new RawServer((socket) => socket.write(ok())).start();
    await server.stop();
    const [pool, time] = timed(server, { minIdle: 20, bodyTimeoutMs: 60_000 });
    expect(await fails(pool, time, 1)).toBe(20);
    // Half a sweep, one and a half, three and a half, and then half a minute.
    const seldom = await fails(pool, time, 24);
    expect(seldom).toBeLessThan(8);
    // Twenty that fail at once are one failure.
    expect(seldom).toBeGreaterThan(4);
    expect(await fails(pool, time, 24)).toBeLessThanOrEqual(4);
    await server.start();
    const opened = times(pool, "open", 20);
    expect(await fails(pool, time, 8)).toBe(0);
    await opened;
    expect(pool.stats()).toMatchObject({ idle: 20 });
    await pool.close();
    await server.stop();
  });
});

test("what was destroyed with an error is told that error, wherever it was", async () => {
  const pool = new ConnectionPool("http://x.test", { lookup: () => undefined });
  const lanes = ["request", "stream"] as const;
  const told = lanes.map((lane) => rejection(pool.fetch("http://x.test", { lane })));
  const reason = new Error("mine");
  await pool.destroy(reason);
  expect(await Promise.all(told)).toEqual([reason, reason]);
});

async function fails(pool: ConnectionPool, time: FakeTime, sweeps: number): Promise<number> {
  const before = pool.stats().connectErrors;
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    time.advance(5000);
    do await turn();
    while (pool.stats().connecting > 0);
  }
  return pool.stats().connectErrors - before;
}
