import { describe, expect, test } from "vitest";
import { fetch as undiciFetch } from "undici";
import { ConnectionPool } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { text, times } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

/** Which connection each request came on, by its port. */
async function startRecording(): Promise<{
  server: TestServer;
  held: HeldAnswers;
  ports: (number | undefined)[];
}> {
  const held = new HeldAnswers();
  const ports: (number | undefined)[] = [];
  const server = await new TestServer((request, response) => {
    ports.push(request.socket.remotePort);
    held.handler(request, response);
  }).start();
  return { server, held, ports };
}

async function answer(pool: ConnectionPool, held: HeldAnswers): Promise<void> {
  const answered = text(pool.fetch(pool.upstream));
  await held.until(1);
  held.release();
  await answered;
}

describe("connection pool reuse", () => {
  test("one request after the other uses one connection", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    for (let count = 0; count < 20; count += 1) await text(pool.fetch(server.origin));
    expect(server).toMatchObject({ sockets: 1, requests: 20 });
    expect(pool.stats()).toMatchObject({ created: 1, requests: 20, reused: 19, reuseRatio: 0.95 });
  });

  test("the counts equal what the server itself counted", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 7 });
    for (let round = 0; round < 5; round += 1)
      await Promise.all(Array.from({ length: 40 }, () => text(pool.fetch(server.origin))));
    const { created, requests, reused, waiting, active } = pool.stats();
    expect(created).toBe(server.sockets);
    expect(requests).toBe(server.requests);
    expect(requests).toBe(200);
    expect(reused).toBe(server.requests - server.sockets);
    expect({ waiting, active }).toEqual({ waiting: 0, active: 0 });
  });

  test("204 and 304 keep their connection, and HEAD gives it up unless it is told to keep it", async () => {
    const statuses: Record<string, number> = { "/204": 204, "/304": 304 };
    await using server = await new TestServer((request, response) => {
      response.statusCode = statuses[request.url ?? ""] ?? 200;
      response.end();
    }).start();
    await using pool = new ConnectionPool(server.origin);
    for (let count = 0; count < 3; count += 1) {
      const { body } = await pool.request({ path: "/", method: "HEAD", reset: false });
      await body.text();
      await pool.fetch(`${server.origin}/204`);
      await pool.fetch(`${server.origin}/304`);
      await text(pool.fetch(server.origin));
    }
    expect(server).toMatchObject({ sockets: 1, requests: 12 });
    await pool.fetch(server.origin, { method: "HEAD" });
    await text(pool.fetch(server.origin));
    expect(server).toMatchObject({ sockets: 2, requests: 14 });
  });

  test("the connection used last is reused first, and the one unused longest is closed first", async () => {
    const time = new FakeTime();
    const { server, held, ports } = await startRecording();
    await using pool = new ConnectionPool(server.origin, {
      maxIdleTimeMs: 60_000,
      keepAliveTimeoutMs: 600_000,
      now: time.now,
      schedule: time.schedule,
    });
    const both = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    await held.until(2);
    held.release(1);
    await Promise.race(both);
    held.release();
    await Promise.all(both);
    time.advance(40_000);
    await answer(pool, held);
    const [, usedLast] = ports;
    expect(ports[2]).toBe(usedLast);
    const closed = times(pool, "close", 1);
    time.advance(30_000);
    await closed;
    expect(pool.stats()).toMatchObject({ open: 1, idle: 1, closed: { idle: 1 } });
    await answer(pool, held);
    expect(ports[3]).toBe(usedLast);
    const last = times(pool, "close", 1);
    time.advance(70_000);
    await last;
    expect(pool.stats()).toMatchObject({ open: 0, idle: 0, closed: { idle: 2 } });
    time.advance(60_000);
    expect(time.pending).toBe(0);
    await server.stop();
  });

  test("of more than maxIdle the one unused longest is closed", async () => {
    const { server, held, ports } = await startRecording();
    await using pool = new ConnectionPool(server.origin, { maxIdle: 1 });
    const both = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    const closed = times(pool, "close", 1);
    await held.until(2);
    held.release(1);
    await Promise.race(both);
    held.release();
    await Promise.all(both);
    await closed;
    await answer(pool, held);
    expect(ports[2]).toBe(ports[1]);
    await server.stop();
  });

  test("a connection on which the server speaks before it is asked is not used", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    await pool.warmUp();
    await server.accepted(1);
    const closed = times(pool, "close", 1);
    for (const socket of server.open)
      socket.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, closed: { peer: 1 } });
    expect((await pool.fetch(server.origin)).status).toBe(200);
  });

  test("one that comes back older than maxLifetimeMs does not go to those who wait", async () => {
    const time = new FakeTime();
    const { server, held, ports } = await startRecording();
    await using _ = server;
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      maxLifetimeMs: 5000,
      lifetimeJitter: 0,
      now: time.now,
      schedule: () => () => undefined,
    });
    const all = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    await held.until(1);
    time.advance(5000);
    held.release();
    await held.until(1);
    held.release();
    expect(await Promise.all(all)).toEqual(["ok", "ok"]);
    expect(new Set(ports).size).toBe(2);
    expect(pool.stats()).toMatchObject({ created: 2, closed: { lifetime: 1 } });
  });

  test("a connection older than maxLifetimeMs is not reused, and jitter makes it end earlier", async () => {
    const time = new FakeTime();
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, {
      maxLifetimeMs: 10_000,
      maxIdleTimeMs: 600_000,
      keepAliveTimeoutMs: 600_000,
      lifetimeJitter: 0.5,
      random: () => 0.5,
      now: time.now,
      // The sweep never comes: it is the request that finds the connection too old.
      schedule: () => () => undefined,
    });
    await text(pool.fetch(server.origin));
    time.advance(7400);
    await text(pool.fetch(server.origin));
    expect(server.sockets).toBe(1);
    time.advance(200);
    await text(pool.fetch(server.origin));
    expect(server.sockets).toBe(2);
    expect(pool.stats().closed.lifetime).toBe(1);
  });

  test("the sweep ends idle connections that are too old", async () => {
    const time = new FakeTime();
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, {
      maxLifetimeMs: 10_000,
      lifetimeJitter: 0,
      now: time.now,
      schedule: time.schedule,
    });
    await text(pool.fetch(server.origin));
    const closed = times(pool, "close", 1);
    time.advance(12_500);
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, closed: { lifetime: 1 } });
  });

  test("a burst shrinks to maxIdle at once", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 20, maxIdle: 3 });
    const closed = times(pool, "close", 17);
    const all = Array.from({ length: 20 }, () => text(pool.fetch(server.origin)));
    await held.until(20);
    held.release();
    await Promise.all(all);
    await closed;
    expect(pool.stats()).toMatchObject({ open: 3, idle: 3, closed: { idle: 17 } });
  });

  test("minIdle connections are opened without a request, and again after they ended", async () => {
    const time = new FakeTime();
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, {
      minIdle: 2,
      maxIdleTimeMs: 1000,
      now: time.now,
      schedule: time.schedule,
    });
    const opened = times(pool, "open", 2);
    time.advance(250);
    await opened;
    expect(pool.stats()).toMatchObject({ open: 2, idle: 2, requests: 0 });
    time.advance(60_000);
    expect(pool.stats()).toMatchObject({ open: 2, idle: 2 });
    const closed = times(pool, "close", 2);
    await server.accepted(2);
    for (const socket of server.open) socket.destroy();
    await closed;
    const reopened = times(pool, "open", 2);
    time.advance(250);
    await reopened;
    expect(pool.stats()).toMatchObject({ open: 2, idle: 2, closed: { peer: 2 } });
    await text(pool.fetch(server.origin));
    expect(server.sockets).toBe(4);
  });

  test("a minIdle connection that lived for a second is replaced at once, a younger one by the next sweep", async () => {
    const time = new FakeTime();
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, {
      minIdle: 1,
      now: time.now,
      schedule: time.schedule,
    });
    await pool.warmUp(1);
    time.advance(1000);
    const replaced = times(pool, "open", 1);
    await server.accepted(1);
    for (const socket of server.open) socket.destroy();
    await replaced;
    expect(pool.stats()).toMatchObject({ created: 2, idle: 1, closed: { peer: 1 } });
    const closed = times(pool, "close", 1);
    await server.accepted(2);
    for (const socket of server.open) socket.destroy();
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, connecting: 0 });
    const swept = times(pool, "open", 1);
    time.advance(5000);
    await swept;
    expect(pool.stats()).toMatchObject({ created: 3, idle: 1 });
  });

  test("a failure to fill up minIdle is tried again by the next sweep, not at once", async () => {
    const time = new FakeTime();
    const server = await new TestServer().start();
    await server.stop();
    await using pool = new ConnectionPool(server.origin, {
      minIdle: 1,
      now: time.now,
      schedule: time.schedule,
    });
    const failed = times(pool, "connectError", 1);
    time.advance(5000);
    await failed;
    expect(pool.stats().connectErrors).toBe(1);
    await server.start();
    const opened = times(pool, "open", 1);
    time.advance(5000);
    await opened;
    expect(pool.stats()).toMatchObject({ idle: 1, connectErrors: 1 });
    await server.stop();
  });

  test("warmUp opens connections that the first requests use", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 4 });
    await pool.warmUp(3);
    await pool.warmUp();
    expect(pool.stats()).toMatchObject({ open: 3, idle: 3 });
    await Promise.all([1, 2, 3].map(() => text(pool.fetch(server.origin))));
    expect(server.sockets).toBe(3);
    expect(pool.stats()).toMatchObject({ created: 3, requests: 3, reused: 0 });
  });

  test("a server that says Connection: close gets a new connection each time", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("connection", "close").end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    for (let count = 0; count < 3; count += 1) await text(pool.fetch(server.origin));
    pool.resize(1);
    // Those who wait are not given a connection that is about to end.
    await Promise.all([1, 2, 3].map(() => text(pool.fetch(server.origin))));
    expect(server).toMatchObject({ sockets: 6, requests: 6 });
    expect(pool.stats()).toMatchObject({ requests: 6, reused: 0, replays: 0, failed: 0 });
  });

  test("a server's keep-alive hint shorter than the margin ends the connection", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("keep-alive", "timeout=1").end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    await text(pool.fetch(server.origin));
    await text(pool.fetch(server.origin));
    expect(server.sockets).toBe(2);
  });

  test("an idle connection ends after keepAliveTimeoutMs when the server gives no hint", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("connection", "keep-alive").end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, { keepAliveTimeoutMs: 5 });
    const closed = times(pool, "close", 1);
    await text(pool.fetch(server.origin));
    await closed;
    expect(pool.stats().closed).toMatchObject({ idle: 1, peer: 0 });
  });

  test("it serves the built-in fetch, undici.fetch and undici's request as their dispatcher", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    const init = { dispatcher: pool } as object;
    expect(await text(fetch(server.origin, init))).toBe("ok");
    expect(await (await undiciFetch(server.origin, { dispatcher: pool })).text()).toBe("ok");
    const { body } = await pool.request({ path: "/", method: "GET" });
    expect(await body.text()).toBe("ok");
    expect(server).toMatchObject({ sockets: 1, requests: 3 });
  });
});
