import { expect, test } from "vitest";
import { BodyNotReadError, ConnectionPool, PoolAgent } from "../src/index.ts";
import type { LeakEvent } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const LONG = Buffer.alloc(10_000_000);

async function startLong(): Promise<TestServer> {
  return new TestServer((request, response) => {
    if (request.url?.startsWith("/events") === true)
      response.setHeader("content-type", "text/event-stream");
    response.end(request.url === "/" ? "ok" : LONG);
  }).start();
}

/** Resolves once the read-ahead is full, so that nothing more is taken from the connection. */
async function unread(sent: Promise<Response>, server: TestServer): Promise<Response> {
  const response = await sent;
  const read = (): number => [...server.open].reduce((sum, socket) => sum + socket.bytesWritten, 0);
  for (let before = -1; before !== read();) {
    before = read();
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  return response;
}

test("a body that nobody reads is reported with its path and without its query, once", async () => {
  const time = new FakeTime();
  await using server = await startLong();
  await using pool = new ConnectionPool(server.origin, {
    leakAfterMs: 10_000,
    bodyTimeoutMs: 40_000,
    now: time.now,
    schedule: time.schedule,
  });
  const leaks: LeakEvent[] = [];
  pool.on("leak", (leak) => leaks.push(leak));
  const response = await unread(
    pool.fetch(`${server.origin}/report?token=secret`, { method: "POST", body: "secret" }),
    server,
  );
  time.advance(9000);
  expect(leaks).toEqual([]);
  time.advance(5000);
  time.advance(20_000);
  expect(leaks).toEqual([
    { upstream: server.origin, method: "POST", path: "/report", unreadMs: expect.any(Number) },
  ]);
  expect(leaks[0]?.unreadMs).toBeGreaterThanOrEqual(10_000);
  expect(leaks[0]?.unreadMs).toBeLessThanOrEqual(15_000);
  expect(pool.stats()).toMatchObject({ leaks: 1, active: 1, failed: 0 });
  time.advance(10_000);
  expect(await rejection(response.text())).toBeInstanceOf(BodyNotReadError);
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  expect(pool.stats()).toMatchObject({ leaks: 1, active: 0, failed: 1 });
});

test("an event stream that nobody reads is reported too, and not ended", async () => {
  const time = new FakeTime();
  await using server = await startLong();
  await using pool = new ConnectionPool(server.origin, { now: time.now, schedule: time.schedule });
  const response = await unread(pool.fetch(`${server.origin}/events`, { lane: "stream" }), server);
  time.advance(3_600_000);
  expect(pool.stats()).toMatchObject({ leaks: 1, streams: 1, failed: 0 });
  await response.body?.cancel();
});

test("the call stack is kept for the part of the requests that leakStackRatio names", async () => {
  const time = new FakeTime();
  await using server = await startLong();
  const draws = [0.05, 0.2];
  await using agent = new PoolAgent({
    pool: {
      leakStackRatio: 0.1,
      lifetimeJitter: 0,
      random: () => draws.shift() ?? 1,
      now: time.now,
      schedule: time.schedule,
    },
  });
  const leaks: LeakEvent[] = [];
  agent.on("leak", (leak) => leaks.push(leak));
  async function whoForgets(): Promise<Response> {
    return agent.fetch(`${server.origin}/first`);
  }
  const responses = [
    await unread(whoForgets(), server),
    await unread(agent.fetch(`${server.origin}/second`), server),
  ];
  time.advance(35_000);
  expect(leaks.map(({ path }) => path).toSorted()).toEqual(["/first", "/second"]);
  const [first, second] = leaks.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  expect(first?.stack).toContain("whoForgets");
  expect(first?.stack).toContain("leaks.test.ts");
  expect(second).not.toHaveProperty("stack");
  await agent.destroy();
  for (const response of responses) await rejection(response.text());
});

test("a body that is read slowly is no leak", async () => {
  const time = new FakeTime();
  await using server = await startLong();
  await using pool = new ConnectionPool(server.origin, { now: time.now, schedule: time.schedule });
  const response = await unread(pool.fetch(`${server.origin}/slow`), server);
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    time.advance(20_000);
  }
  expect(length).toBe(LONG.byteLength);
  expect(pool.stats()).toMatchObject({ leaks: 0, failed: 0 });
});
