import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { HealthCheckEvent } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { text } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

describe("health monitoring", () => {
  test("without a path a connection is opened and closed", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    expect(await pool.healthCheck()).toEqual({ ok: true, durationMs: expect.any(Number) });
    await server.accepted(1);
    await server.idle();
    expect(server.requests).toBe(0);
    expect(pool.stats()).toMatchObject({
      idle: 0,
      created: 1,
      healthChecks: { ok: 1, failed: 0 },
    });
  });

  test("with a path the status decides, and a GET is sent, never a HEAD", async () => {
    const seen: string[] = [];
    let status = 204;
    await using server = await new TestServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.statusCode = status;
      response.end();
    }).start();
    await using pool = new ConnectionPool(server.origin, { healthCheckPath: "/health" });
    const events: HealthCheckEvent[] = [];
    pool.on("healthCheck", (event) => events.push(event));
    expect(await pool.healthCheck()).toMatchObject({ ok: true, statusCode: 204 });
    status = 503;
    expect(await pool.healthCheck()).toMatchObject({ ok: false, statusCode: 503 });
    expect(seen).toEqual(["GET /health", "GET /health"]);
    expect(pool.stats().healthChecks).toEqual({ ok: 1, failed: 1 });
    expect(events.map(({ ok, upstream }) => ({ ok, upstream }))).toEqual([
      { ok: true, upstream: server.origin },
      { ok: false, upstream: server.origin },
    ]);
  });

  test("an upstream that is down is not ok, and says why", async () => {
    const server = await new TestServer().start();
    await server.stop();
    await using pool = new ConnectionPool(server.origin, { healthCheckPath: "/health" });
    expect(await pool.healthCheck()).toMatchObject({ ok: false, error: { code: "ECONNREFUSED" } });
    await server.start();
    expect(await pool.healthCheck()).toMatchObject({ ok: true, statusCode: 200 });
    await server.stop();
  });

  test("an upstream that hangs is not ok after healthCheckTimeoutMs", async () => {
    const time = new FakeTime();
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, {
      healthCheckPath: "/health",
      healthCheckTimeoutMs: 500,
      now: time.now,
      schedule: time.schedule,
    });
    const checked = pool.healthCheck();
    await held.until(1);
    time.advance(500);
    const result = await checked;
    expect(result).toMatchObject({ ok: false, durationMs: 500 });
    expect(result.error?.message).toContain("500 ms");
    await server.idle();
    expect(pool.stats().streams).toBe(0);
  });

  test("a check that is still connecting ends with the pool", async () => {
    await using server = await new TestServer().start();
    const pool = new ConnectionPool(server.origin);
    const checked = pool.healthCheck();
    await pool.destroy();
    expect(await checked).toMatchObject({ ok: false, error: { code: "HTTP_POOL_CLOSED" } });
  });

  test("a busy pool can be checked, and checks at the same time are one", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer((request, response) => {
      if (request.url === "/health") response.end();
      else held.handler(request, response);
    }).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      queueLimit: 0,
      healthCheckPath: "/health",
    });
    const running = text(pool.fetch(server.origin));
    await held.until(1);
    const checks = await Promise.all([pool.healthCheck(), pool.healthCheck()]);
    expect(checks[0]).toBe(checks[1]);
    expect(checks[0]).toMatchObject({ ok: true });
    expect(server.requests).toBe(2);
    held.release();
    await running;
  });
});
