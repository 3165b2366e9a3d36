import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const PATH = "/alive";

/** A server with the default hint of Node, 5 s, and how many requests of each kind came. */
async function startCounting(): Promise<{ server: TestServer; count: (path: string) => number }> {
  const paths: string[] = [];
  const server = await new TestServer((request, response) => {
    paths.push(request.url ?? "");
    response.end("ok");
  }).start();
  return { server, count: (path) => paths.filter((other) => other === path).length };
}

/** Lets virtual time pass in steps, and waits in each for the keep-alive requests that are under way. */
async function pass(pool: ConnectionPool, time: FakeTime, durationMs: number): Promise<void> {
  for (let passed = 0; passed < durationMs; passed += 250) {
    time.advance(250);
    await pool.drain();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function virtual(time: FakeTime, options: ConnectionPoolOptions = {}): ConnectionPoolOptions {
  return { keepAlivePath: PATH, now: time.now, schedule: time.schedule, ...options };
}

describe("keep-alive requests", () => {
  test.each([1, 3.5, 10, 30, 59])(
    "calls %d s apart use one connection, and the server counts the same",
    async (seconds) => {
      const time = new FakeTime();
      const { server, count } = await startCounting();
      await using pool = new ConnectionPool(
        server.origin,
        virtual(time, { maxLifetimeMs: 86_400_000 }),
      );
      const calls = 100;
      for (let call = 0; call < calls; call += 1) {
        await text(pool.fetch(server.origin));
        await pass(pool, time, seconds * 1000);
      }
      const { created, requests, reused, reuseRatio, keepAlives } = pool.stats();
      expect(server.sockets).toBe(1);
      expect({ created, requests, reused, reuseRatio }).toEqual({
        created: 1,
        requests: calls,
        reused: calls - 1,
        reuseRatio: 0.99,
      });
      expect({ calls: count("/"), keepAlives: count(PATH) }).toEqual({
        calls,
        keepAlives: keepAlives.ok,
      });
      expect(keepAlives.failed).toBe(0);
      // Every 3 s: three quarters of the 4 s that a hint of 5 s leaves.
      expect(keepAlives.ok).toBe(calls * Math.floor(seconds / 3));
      await server.stop();
    },
  );

  test("they end when nobody has used the connection for maxIdleTimeMs", async () => {
    const time = new FakeTime();
    const { server, count } = await startCounting();
    await using pool = new ConnectionPool(server.origin, virtual(time, { maxIdleTimeMs: 30_000 }));
    await text(pool.fetch(server.origin));
    const closed = times(pool, "close", 1);
    await pass(pool, time, 60_000);
    await closed;
    expect(count(PATH)).toBe(9);
    expect(pool.stats()).toMatchObject({ open: 0, requests: 1, reused: 0, closed: { idle: 1 } });
    time.advance(5000);
    expect(time.pending).toBe(0);
    await server.stop();
  });

  test("minIdle connections are kept alive for as long as the pool lives, those beyond are not", async () => {
    const time = new FakeTime();
    const { server, count } = await startCounting();
    await using pool = new ConnectionPool(server.origin, virtual(time, { minIdle: 2 }));
    await Promise.all(Array.from({ length: 5 }, () => text(pool.fetch(server.origin))));
    await pass(pool, time, 180_000);
    expect(pool.stats()).toMatchObject({ open: 2, idle: 2, closed: { idle: 3 } });
    expect(count(PATH)).toBe(2 * 60);
    await server.stop();
  });

  test("one that fails ends its connection, is not sent twice, and fails nobody's request", async () => {
    const time = new FakeTime();
    let broken = false;
    const paths: string[] = [];
    await using server = await new TestServer((request, response) => {
      paths.push(request.url ?? "");
      if (broken && request.url === PATH) request.socket.resetAndDestroy();
      else response.end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, virtual(time));
    await text(pool.fetch(server.origin));
    broken = true;
    const closed = times(pool, "close", 1);
    await pass(pool, time, 4000);
    await closed;
    expect(pool.stats()).toMatchObject({
      open: 0,
      failed: 0,
      replays: 0,
      requests: 1,
      keepAlives: { ok: 0, failed: 1 },
      closed: { stale: 1 },
    });
    await text(pool.fetch(server.origin));
    expect(paths).toEqual(["/", PATH, "/"]);
  });

  test("one that is not answered ends after healthCheckTimeoutMs, and close does not wait longer", async () => {
    const time = new FakeTime();
    const asked = Promise.withResolvers<void>();
    await using server = await new TestServer((request, response) => {
      if (request.url === PATH) asked.resolve();
      else response.end("ok");
    }).start();
    const pool = new ConnectionPool(server.origin, virtual(time));
    await text(pool.fetch(server.origin));
    time.advance(3000);
    await asked.promise;
    const closed = pool.close();
    time.advance(2000);
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, keepAlives: { failed: 1 } });
    expect(time.pending).toBe(0);
  });

  test("without keepAlivePath nothing is sent", async () => {
    const time = new FakeTime();
    const { server } = await startCounting();
    await using pool = new ConnectionPool(server.origin, {
      now: time.now,
      schedule: time.schedule,
    });
    await text(pool.fetch(server.origin));
    await pass(pool, time, 50_000);
    expect(server.requests).toBe(1);
    await server.stop();
  });

  test("a server that ends idle connections after 2 s keeps one that is kept alive", async () => {
    let sockets = 0;
    const server = createServer({ keepAliveTimeout: 2000 }, (_request, response) => {
      response.end("ok");
    });
    server.on("connection", () => (sockets += 1));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pool = new ConnectionPool(origin, { keepAlivePath: PATH });
    const plain = new ConnectionPool(origin);
    await Promise.all([text(pool.fetch(origin)), text(plain.fetch(origin))]);
    expect(sockets).toBe(2);
    // The plain one is ended within 2 s; the other one is asked every 0.75 s meanwhile.
    await Promise.all([times(plain, "close", 1), keptAlive(pool, 4)]);
    await Promise.all([text(pool.fetch(origin)), text(plain.fetch(origin))]);
    expect(pool.stats()).toMatchObject({ created: 1, requests: 2, reused: 1 });
    expect(plain.stats()).toMatchObject({ created: 2, requests: 2, reused: 0 });
    expect(sockets).toBe(3);
    await Promise.all([pool.close(), plain.close()]);
    server.close();
  });
});

/** Resolves after so many keep-alive requests were answered; the clock is the real one. */
async function keptAlive(pool: ConnectionPool, count: number): Promise<void> {
  while (pool.stats().keepAlives.ok < count) await new Promise((resolve) => setImmediate(resolve));
}
