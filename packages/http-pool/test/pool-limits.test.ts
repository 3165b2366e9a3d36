import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import {
  ConnectionPool,
  PoolClosedError,
  PoolExhaustedError,
  QueueTimeoutError,
} from "../src/index.ts";
import type { WaitEvent } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { HeldAnswers, TestServer } from "./helpers/test-server.ts";

describe("pool limits", () => {
  test("no more than maxConnections are open, on the side of the server too", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 3 });
    await Promise.all(Array.from({ length: 50 }, () => text(pool.fetch(server.origin))));
    expect(server).toMatchObject({ requests: 50, peak: 3 });
  });

  test("a request beyond the queue limit is refused at once", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 2, queueLimit: 3 });
    const admitted = Array.from({ length: 5 }, () => text(pool.fetch(server.origin)));
    const error = await rejection(pool.fetch(`${server.origin}/?token=secret`));
    expect(error).toBeInstanceOf(PoolExhaustedError);
    expect(error).toMatchObject({
      code: "HTTP_POOL_EXHAUSTED",
      upstream: server.origin,
      retryAfterMs: 1000,
      attempts: 0,
    });
    expect(error.message).not.toContain("secret");
    expect(pool.stats()).toMatchObject({ rejected: 1 });
    for (let count = 2; count <= 6; count += 2) {
      await held.until(Math.min(2, 7 - count));
      held.release();
    }
    expect(await Promise.all(admitted)).toEqual(Array.from({ length: 5 }, () => "ok"));
  });

  test("a queue limit of 0 still lets a request open its connection", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1, queueLimit: 0 });
    const first = text(pool.fetch(server.origin));
    await held.until(1);
    expect(await rejection(pool.fetch(server.origin))).toBeInstanceOf(PoolExhaustedError);
    held.release();
    expect(await first).toBe("ok");
  });

  test("a slot whose connection is about to close is as good as free", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("connection", "close").end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1, queueLimit: 0 });
    for (let count = 0; count < 20; count += 1) {
      await text(pool.fetch(server.origin));
      await pool.drain();
    }
    expect(pool.stats()).toMatchObject({ created: 20, rejected: 0 });
  });

  test("a pool that was made smaller still lets queueLimit requests wait", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 4, queueLimit: 2 });
    const first = Array.from({ length: 4 }, () => text(pool.fetch(server.origin)));
    await held.until(4);
    pool.resize(1);
    const waiting = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    expect(pool.stats()).toMatchObject({ waiting: 2, rejected: 0 });
    held.release();
    for (let left = 2; left > 0; left -= 1) {
      await held.until(1);
      held.release();
    }
    expect(await Promise.all([...first, ...waiting])).toEqual(
      Array.from({ length: 6 }, () => "ok"),
    );
  });

  test("whoever waits longest is served first", async () => {
    const held = new HeldAnswers();
    const order: string[] = [];
    await using server = await new TestServer((request, response) => {
      order.push(request.url ?? "");
      held.handler(request, response);
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const all = [1, 2, 3, 4].map((id) => text(pool.fetch(`${server.origin}/${id}`)));
    for (let count = 0; count < 4; count += 1) {
      await held.until(1);
      held.release();
    }
    await Promise.all(all);
    expect(order).toEqual(["/1", "/2", "/3", "/4"]);
  });

  test("a request waits until its own deadline and no longer, on one timer for all", async () => {
    const time = new FakeTime();
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      queueTimeoutMs: 100,
      now: time.now,
      schedule: time.schedule,
    });
    const first = text(pool.fetch(server.origin));
    await held.until(1);
    const second = rejection(pool.fetch(server.origin));
    time.advance(60);
    const timers = time.pending;
    const third = text(pool.fetch(server.origin));
    const fourth = rejection(pool.fetch(server.origin));
    expect(time.pending).toBe(timers);
    time.advance(40);
    const error = await second;
    expect(error).toBeInstanceOf(QueueTimeoutError);
    expect(error).toMatchObject({
      code: "HTTP_POOL_QUEUE_TIMEOUT",
      upstream: server.origin,
      queueTimeoutMs: 100,
      retryAfterMs: 1000,
    });
    time.advance(59);
    expect(pool.stats()).toMatchObject({ waiting: 2, queueTimeouts: 1 });
    held.release();
    expect(await first).toBe("ok");
    await held.until(1);
    time.advance(1);
    expect(await fourth).toBeInstanceOf(QueueTimeoutError);
    held.release();
    expect(await third).toBe("ok");
    expect(pool.stats()).toMatchObject({ waiting: 0, queueTimeouts: 2 });
  });

  test("nobody is served beyond the deadline, though the timer is late", async () => {
    const time = new FakeTime();
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      queueTimeoutMs: 1000,
      now: time.now,
      schedule: () => () => undefined,
    });
    const first = text(pool.fetch(server.origin));
    await held.until(1);
    const late = rejection(pool.fetch(server.origin));
    time.advance(600);
    const inTime = text(pool.fetch(server.origin));
    time.advance(600);
    held.release();
    expect(await late).toMatchObject({ code: "HTTP_POOL_QUEUE_TIMEOUT" });
    await held.until(1);
    held.release();
    expect(await Promise.all([first, inTime])).toEqual(["ok", "ok"]);
    expect(pool.stats()).toMatchObject({ queueTimeouts: 1, requests: 2 });
    expect(pool.stats().waitTime.maxMs).toBeLessThanOrEqual(1000);
  });

  test("an abort while waiting leaves the queue, its listener too", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const first = text(pool.fetch(server.origin));
    await held.until(1);
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = rejection(pool.fetch(server.origin, { signal }));
    expect(pool.stats().waiting).toBe(1);
    const reason = new Error("changed my mind");
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    expect(pool.stats()).toMatchObject({ waiting: 0, aborted: 1, failed: 0 });
    held.release();
    await first;
    expect(server.requests).toBe(1);
  });

  test("an abort before, during and after costs no slot", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    expect(
      await rejection(pool.fetch(server.origin, { signal: AbortSignal.abort() })),
    ).toMatchObject({ name: "AbortError" });
    expect(server.requests).toBe(0);
    const controller = new AbortController();
    const running = rejection(pool.fetch(server.origin, { signal: controller.signal }));
    await held.until(1);
    const closed = times(pool, "close", 1);
    controller.abort();
    expect(await running).toMatchObject({ name: "AbortError" });
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
    await closed;
    held.held.length = 0;
    const { signal } = new AbortController();
    const next = text(pool.fetch(server.origin, { signal }));
    await held.until(1);
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    held.release();
    expect(await next).toBe("ok");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
    expect(pool.stats()).toMatchObject({ aborted: 2, active: 0, idle: 1, closed: { error: 1 } });
  });

  test("an abort of a request that is about to be written keeps the connection", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    await text(pool.fetch(server.origin));
    const controller = new AbortController();
    const aborted = rejection(pool.fetch(server.origin, { signal: controller.signal }));
    controller.abort();
    expect(await aborted).toMatchObject({ name: "AbortError" });
    await pool.drain();
    await text(pool.fetch(server.origin));
    expect(server).toMatchObject({ sockets: 1, requests: 2 });
    expect(pool.stats()).toMatchObject({ active: 0, idle: 1 });
  });

  test("resize shrinks: idle ones at once, busy ones when they come back", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 6 });
    await pool.warmUp(6);
    const busy = Array.from({ length: 4 }, () => text(pool.fetch(server.origin)));
    await held.until(4);
    const idleClosed = times(pool, "close", 2);
    pool.resize(2);
    await idleClosed;
    expect(pool.stats()).toMatchObject({ open: 4, active: 4, idle: 0, maxConnections: 2 });
    const busyClosed = times(pool, "close", 2);
    held.release();
    await Promise.all(busy);
    await busyClosed;
    expect(pool.stats()).toMatchObject({ open: 2, idle: 2, closed: { resize: 4 } });
  });

  test("a connection too many is closed, though somebody waits for it", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 4 });
    const all = Array.from({ length: 6 }, () => text(pool.fetch(server.origin)));
    await held.until(4);
    pool.resize(2);
    const closed = times(pool, "close", 2);
    held.release(2);
    await closed;
    expect(pool.stats()).toMatchObject({ open: 2, active: 2, waiting: 2, closed: { resize: 2 } });
    held.release();
    await held.until(2);
    held.release();
    await Promise.all(all);
    expect(server.sockets).toBe(4);
  });

  test("resize grows for those who wait", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const all = Array.from({ length: 4 }, () => text(pool.fetch(server.origin)));
    await held.until(1);
    pool.resize(4);
    await held.until(4);
    expect(pool.stats()).toMatchObject({ open: 4, active: 4, waiting: 0 });
    held.release();
    await Promise.all(all);
  });

  test("dispatch says when requests wait, and drain says when they do not any more", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    await pool.warmUp();
    const ended = Promise.withResolvers<void>();
    const handler = {
      onRequestStart: () => undefined,
      onResponseEnd: () => ended.resolve(),
      onResponseError: (_controller: unknown, error: Error) => ended.reject(error),
    };
    expect(pool.dispatch({ path: "/", method: "GET" }, { ...handler })).toBe(true);
    expect(pool.dispatch({ path: "/", method: "GET" }, { ...handler })).toBe(false);
    const drained = times(pool, "drain", 1);
    await held.until(1);
    held.release();
    await held.until(1);
    held.release();
    await ended.promise;
    await drained;
  });

  test("a slot that is free while another connection is opened is no drain yet", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 2 });
    await pool.warmUp(2);
    const post = { method: "POST", body: "x" };
    const lost = [1, 2].map(() => rejection(pool.fetch(server.origin, post)));
    await held.until(2);
    const last = text(pool.fetch(server.origin));
    const waiting: number[] = [];
    pool.on("drain", () => waiting.push(pool.stats().waiting));
    for (const socket of server.open) socket.destroy();
    await Promise.all(lost);
    await held.until(3);
    held.release();
    expect(await last).toBe("ok");
    expect(waiting).toEqual([0]);
  });

  test("a stream that begins in between does not take away the drain", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    await pool.warmUp();
    const all = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    const drained = times(pool, "drain", 1);
    await held.until(1);
    held.release();
    await all[0];
    await held.until(1);
    all.push(text(pool.fetch(server.origin, { lane: "stream" })));
    await held.until(2);
    held.release();
    await Promise.all(all);
    await drained;
    expect(pool.stats()).toMatchObject({ waiting: 0, idle: 1 });
  });

  test("drain does not wait for a connection for which nobody waits any more", async () => {
    const options = { lookup: () => undefined, connectTimeoutMs: 600_000 };
    const pool = new ConnectionPool("http://x.test", options);
    const leave = new AbortController();
    const left = rejection(pool.fetch("http://x.test", { signal: leave.signal }));
    const drained = pool.drain();
    leave.abort();
    await left;
    await drained;
    expect(pool.stats()).toMatchObject({ waiting: 0, connecting: 1 });
    await pool.destroy();
  });

  test("a call that was answered with events, and has ended, lends its slot to nobody", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer((request, response) => {
      if (request.method === "GET") held.handler(request, response);
      else response.writeHead(200, { "content-type": "text/event-stream" }).end("data: 1\n\n");
    }).start();
    const time = new FakeTime();
    const { now } = time;
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1, now });
    await text(pool.fetch(server.origin, { method: "POST", body: "x" }));
    time.advance(1000);
    const all = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    await held.until(1);
    expect(pool.stats()).toMatchObject({ open: 1, connecting: 0, streams: 0, waiting: 1 });
    held.release();
    await held.until(1);
    held.release();
    await Promise.all(all);
  });

  test("the wait for a connection is no silence of the server", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer((request, response) => {
      if (request.url === "/late") response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      held.handler(request, response);
    }).start();
    const time = new FakeTime();
    const { now } = time;
    const options = { maxConnections: 1, headersTimeoutMs: 5000, now };
    await using pool = new ConnectionPool(server.origin, options);
    const first = text(pool.fetch(server.origin));
    const late = text(pool.fetch(`${server.origin}/late`));
    await held.until(1);
    time.advance(6000);
    held.release();
    await held.until(1);
    held.release();
    expect(await Promise.all([first, late])).toEqual(["ok", "ok"]);
  });

  test("drain resolves once nothing waits or runs, and close and destroy end the pool", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    const pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    await pool.drain();
    const all = [text(pool.fetch(server.origin)), text(pool.fetch(server.origin))];
    let drained = false;
    const drain = pool.drain().then(() => (drained = true));
    await held.until(1);
    const closed = pool.close();
    const refused = await rejection(pool.fetch(server.origin));
    expect(refused).toBeInstanceOf(PoolClosedError);
    expect(refused).toMatchObject({ code: "HTTP_POOL_CLOSED", upstream: server.origin });
    held.release();
    await held.until(1);
    expect(drained).toBe(false);
    held.release();
    expect(await Promise.all(all)).toEqual(["ok", "ok"]);
    await drain;
    await closed;
    await pool.close();
    await pool.destroy();
    expect(pool.stats()).toMatchObject({ open: 0, closed: { shutdown: 1 } });
    expect(await rejection(pool.warmUp())).toBeInstanceOf(PoolClosedError);
  });

  test("close waits for a request whose connection ended before it was written", async () => {
    await using server = await new TestServer().start();
    for (let round = 0; round < 20; round += 1) {
      const pool = new ConnectionPool(server.origin);
      await text(pool.fetch(server.origin));
      for (const socket of server.open) socket.destroy();
      for (let turn = round % 4; turn > 0; turn -= 1)
        await new Promise((resolve) => setImmediate(resolve));
      let answered = false;
      const answer = text(pool.fetch(server.origin)).then(() => (answered = true));
      await pool.close();
      expect(answered).toBe(true);
      expect(pool.stats()).toMatchObject({ open: 0, active: 0, failed: 0 });
      await answer;
    }
  });

  test("destroy fails what runs, what waits and what connects, with the given error", async () => {
    const held = new HeldAnswers();
    await using server = await new TestServer(held.handler).start();
    const pool = new ConnectionPool(server.origin, { maxConnections: 3 });
    const running = rejection(pool.fetch(server.origin));
    await held.until(1);
    const connecting = rejection(pool.fetch(server.origin));
    const streaming = rejection(pool.fetch(server.origin, { lane: "stream" }));
    const warming = rejection(pool.warmUp(3));
    const reason = new Error("going down");
    const destroyed = pool.destroy(reason);
    expect(await running).toBe(reason);
    expect(await connecting).toBe(reason);
    expect(await streaming).toBe(reason);
    expect(await warming).toBe(reason);
    await destroyed;
    expect(pool.stats()).toMatchObject({ open: 0, connecting: 0, waiting: 0, streams: 0 });
    await server.idle();
  });

  test("close and destroy take undici's callbacks", async () => {
    const first = new ConnectionPool("http://localhost:1");
    await new Promise<void>((resolve) => first.close(resolve));
    const second = new ConnectionPool("http://localhost:1");
    await new Promise<void>((resolve) => second.destroy(resolve));
    const third = new ConnectionPool("http://localhost:1");
    await new Promise<void>((resolve) => third.destroy(null, resolve));
    for (const pool of [first, second, third]) {
      const refused = pool.fetch("http://localhost:1");
      expect(await rejection(refused)).toBeInstanceOf(PoolClosedError);
    }
  });

  test("a wait is reported to those who listen", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const waits: WaitEvent[] = [];
    pool.on("wait", (event) => waits.push(event));
    await Promise.all([1, 2, 3].map(() => text(pool.fetch(server.origin))));
    expect(waits).toHaveLength(3);
    expect(waits[0]?.upstream).toBe(server.origin);
    expect(pool.stats().waitTime.count).toBe(3);
  });

  test("a server that refuses more connections than it likes is not asked again and again", async () => {
    const held = new HeldAnswers();
    const server = await new TestServer(held.handler).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 10 });
    const first = text(pool.fetch(server.origin));
    await held.until(1);
    // From here on the port is closed, but the open connection lives.
    server.closePort();
    const others: Promise<string>[] = [];
    for (let count = 0; count < 5; count += 1) {
      const refused = times(pool, "connectError", 1);
      others.push(text(pool.fetch(server.origin)));
      await refused;
    }
    for (let count = 0; count < 6; count += 1) {
      await held.until(1);
      held.release();
    }
    expect(await Promise.all([first, ...others])).toHaveLength(6);
    expect(pool.stats()).toMatchObject({ connectErrors: 5, failed: 0, requests: 6, created: 1 });
    await server.stop();
  });
});
