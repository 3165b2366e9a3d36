import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import { ConnectionPool, InvalidArgumentError, UpstreamGroup } from "../src/index.ts";
import type { ConnectionPoolOptions, PoolDispatchOptions } from "../src/index.ts";
import { certificate } from "./helpers/certificate.ts";
import { FakeTime, turn } from "./helpers/fake-time.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { ok, RawServer } from "./helpers/raw-server.ts";

const QUIET = { active: 0, waiting: 0, open: 0 };

/** An error that nobody caught within the test, if there was one. */
async function uncaught(run: () => Promise<void>): Promise<unknown> {
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const caught: unknown[] = [];
  process.on("uncaughtException", (error) => caught.push(error));
  await run();
  await turn();
  await turn();
  process.removeAllListeners("uncaughtException");
  for (const listener of listeners) process.on("uncaughtException", listener);
  return caught[0];
}

describe("an answer that ends with its connection harms nobody when it is given up", () => {
  const HEADS = {
    "HTTP/1.0": "HTTP/1.0 200 OK\r\n\r\nhello",
    "no length": "HTTP/1.1 200 OK\r\n\r\nhello",
    "Connection: close, no length": "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
    "Connection: close, chunked":
      "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "events, Connection: close":
      "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n",
  };

  test.each(Object.entries(HEADS))("%s, aborted by its caller", async (_name, head) => {
    await using server = await new RawServer((socket) => socket.write(head)).start();
    const pool = new ConnectionPool(server.origin);
    const aborter = new AbortController();
    const error = await uncaught(async () => {
      const response = await pool.fetch(server.origin, { signal: aborter.signal });
      const failed = rejection(response.text());
      aborter.abort();
      expect((await failed).name).toBe("AbortError");
      await server.idle();
      await pool.close();
    });
    expect(error).toBeUndefined();
    expect(pool.stats()).toMatchObject(QUIET);
  });

  test("silent for too long", async () => {
    const time = new FakeTime();
    const { now, schedule } = time;
    await using server = await new RawServer((socket) => socket.write(HEADS["no length"])).start();
    const pool = new ConnectionPool(server.origin, { bodyTimeoutMs: 100, now, schedule });
    const error = await uncaught(async () => {
      const response = await pool.fetch(server.origin);
      const reader = response.body?.getReader();
      await reader?.read();
      const failed = rejection(reader?.read() ?? Promise.resolve());
      time.advance(200);
      expect(await failed).toMatchObject({ code: "HTTP_POOL_BODY_TIMEOUT" });
      await server.idle();
      await pool.close();
    });
    expect(error).toBeUndefined();
  });

  test("the pool is destroyed", async () => {
    await using server = await new RawServer((socket) => socket.write(HEADS["HTTP/1.0"])).start();
    const pool = new ConnectionPool(server.origin);
    const error = await uncaught(async () => {
      const response = await pool.fetch(server.origin);
      const failed = rejection(response.text());
      await pool.destroy();
      expect(await failed).toMatchObject({ code: "HTTP_POOL_CLOSED" });
      await server.idle();
    });
    expect(error).toBeUndefined();
  });

  test("a group goes on to another upstream", async () => {
    const failing = "HTTP/1.0 503 Busy\r\n\r\nbusy";
    await using busy = await new RawServer((socket) => socket.write(failing)).start();
    await using good = await new RawServer((socket) => socket.end(ok())).start();
    const pool = { maxConnections: 4, bodyTimeoutMs: 50 };
    const group = new UpstreamGroup([busy.origin, good.origin], { balance: "round-robin", pool });
    const error = await uncaught(async () => {
      for (let count = 0; count < 4; count += 1)
        expect(await text(group.fetch(group.origin))).toBe("ok");
      await group.destroy();
      await busy.idle();
    });
    expect(error).toBeUndefined();
  });
});

describe("header fields that nobody expects", () => {
  const CASES: readonly [string, string][] = [
    ["a coding that is a name of every object", "content-encoding: __proto__\r\n"],
    ["a coding that is a function of every object", "content-encoding: constructor\r\n"],
    ["two codings that are not known", "content-encoding: a\r\ncontent-encoding: b\r\n"],
    ["two types", "content-type: text/plain\r\ncontent-type: text/html\r\n"],
    ["two hints to keep it alive", "keep-alive: timeout=5\r\nkeep-alive: timeout=9\r\n"],
    ["names of every object", "__proto__: a\r\n__proto__: b\r\nconstructor: c\r\n"],
  ];

  test.each(CASES)("%s", async (_name, headers) => {
    await using server = await new RawServer((socket) => socket.write(ok("ok", headers))).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const error = await uncaught(async () => {
      for (let count = 0; count < 3; count += 1)
        expect(await text(pool.fetch(server.origin))).toBe("ok");
    });
    expect(error).toBeUndefined();
    expect(pool.stats()).toMatchObject({ active: 0, created: 1 });
  });

  test("two dates to retry after, of which none is one", async () => {
    const head =
      "HTTP/1.1 503 Busy\r\nretry-after: 1\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n";
    await using server = await new RawServer((socket) => socket.write(head)).start();
    await using group = new UpstreamGroup([server.origin], { retry: { baseDelayMs: 1 } });
    expect((await group.fetch(group.origin)).status).toBe(503);
  });
});

describe("an upstream that answers what is not HTTP is blamed, and others are asked", () => {
  test("it speaks another protocol", async () => {
    await using bad = await new RawServer((socket) => socket.end("SSH-2.0-OpenSSH_9\r\n")).start();
    await using good = await new RawServer((socket) => socket.write(ok())).start();
    await using group = new UpstreamGroup([bad.origin, good.origin], {
      balance: "round-robin",
      slowStartMs: 0,
    });
    const ejected = times(group, "eject", 1);
    for (let count = 0; count < 20; count += 1)
      expect(await text(group.fetch(group.origin))).toBe("ok");
    await ejected;
    expect(group.stats().upstreams[bad.origin]).toMatchObject({ state: "ejected", failures: 5 });
  });

  test("it refuses every stream of HTTP/2", async () => {
    const bad = await h2Server((stream) => stream.close(2));
    const good = await h2Server((stream) => {
      stream.respond({ ":status": 200 });
      stream.end("ok");
    });
    const tls = { ca: certificate.cert, servername: "localhost" };
    await using group = new UpstreamGroup([bad.origin, good.origin], {
      balance: "round-robin",
      slowStartMs: 0,
      pool: { allowH2: true, tls },
    });
    for (let count = 0; count < 20; count += 1)
      expect(await text(group.fetch(group.origin))).toBe("ok");
    expect(group.stats().upstreams[bad.origin]).toMatchObject({ state: "ejected", failures: 5 });
    for (const { close } of [bad, good]) close();
  });
});

describe("a request that could wait for ever is refused", () => {
  test("CONNECT by fetch, as the fetch standard says", async () => {
    await using pool = new ConnectionPool("http://127.0.0.1:1");
    for (const method of ["CONNECT", "trace", "TRACK"])
      expect(await rejection(pool.fetch("http://127.0.0.1:1", { method }))).toMatchObject({
        code: "HTTP_POOL_INVALID_ARGUMENT",
        argument: "method",
      });
  });

  test.each<[string, Partial<PoolDispatchOptions>]>([
    ["an upgrade", { upgrade: "websocket" }],
    ["CONNECT", { method: "CONNECT" }],
  ])("%s that nobody is told of", async (_name, options) => {
    await using pool = new ConnectionPool("http://127.0.0.1:1");
    await using group = new UpstreamGroup(["http://127.0.0.1:1"]);
    for (const dispatcher of [pool, group]) {
      const error = await new Promise((resolve) => {
        const handler: Dispatcher.DispatchHandler = {
          onRequestStart: () => undefined,
          onResponseError: (_controller, reason) => resolve(reason),
        };
        dispatcher.dispatch({ path: "/", method: "GET", ...options }, handler);
      });
      expect(error).toBeInstanceOf(InvalidArgumentError);
    }
  });
});

describe("answers that only inform", () => {
  const HINTS = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";

  async function timed(
    options: ConnectionPoolOptions,
  ): Promise<{ time: FakeTime; pool: ConnectionPool; server: RawServer }> {
    const time = new FakeTime();
    const server = await new RawServer((socket) => socket.write(HINTS)).start();
    const { now, schedule } = time;
    const pool = new ConnectionPool(server.origin, { ...options, now, schedule });
    return { time, pool, server };
  }

  test("do not begin the time of the body", async () => {
    const { time, pool, server } = await timed({ bodyTimeoutMs: 100 });
    const { hints, end } = ask(pool);
    await hints;
    time.advance(500);
    for (const socket of server.open) socket.write(ok());
    expect(await end).toBe(200);
    await pool.close();
    await server.stop();
  });

  test("do not prolong the time of the headers for ever", async () => {
    const { time, pool, server } = await timed({ headersTimeoutMs: 10_000 });
    const { hints, end } = ask(pool);
    await hints;
    time.advance(9000);
    for (const socket of server.open) socket.write(HINTS);
    await turn();
    await turn();
    expect(pool.stats()).toMatchObject({ active: 1 });
    time.advance(1000);
    for (const socket of server.open) socket.write(HINTS);
    expect(await end).toMatchObject({ code: "UND_ERR_HEADERS_TIMEOUT" });
    expect(pool.stats()).toMatchObject({ failed: 1, aborted: 0 });
    await pool.close();
    await server.stop();
  });
});

function ask(pool: ConnectionPool): { hints: Promise<void>; end: Promise<number | Error> } {
  const hints = Promise.withResolvers<void>();
  const end = new Promise<number | Error>((resolve) => {
    pool.dispatch(
      { path: "/", method: "GET" },
      {
        onRequestStart: () => undefined,
        onResponseStart: (_controller, status) => {
          if (status < 200) hints.resolve();
          else resolve(status);
        },
        onResponseError: (_controller, error) => resolve(error),
      },
    );
  });
  return { hints: hints.promise, end };
}

test("an answer that comes while its connection is idle ends it, and answers nothing", async () => {
  await using server = await new RawServer((socket) => socket.write(ok("mine"))).start();
  await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
  for (let count = 0; count < 3; count += 1) {
    expect(await text(pool.fetch(server.origin))).toBe("mine");
    const closed = times(pool, "close", 1);
    for (const socket of server.open) socket.write(ok("EVIL"));
    await closed;
  }
  expect(await text(pool.fetch(server.origin))).toBe("mine");
});

interface H2Server {
  readonly origin: string;
  readonly close: () => void;
}

async function h2Server(answer: (stream: ServerHttp2Stream) => void): Promise<H2Server> {
  const server = createSecureServer({ ...certificate });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, close: () => void server.close() };
}
