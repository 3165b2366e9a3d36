import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Dispatcher } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectionPool, HttpPoolError, InvalidArgumentError, PoolAgent } from "../src/index.ts";
import type { PoolDispatchOptions } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const QUIET = { active: 0, waiting: 0, connecting: 0 };

/** What a request ends with, error or status; it must end. */
function outcome(
  pool: ConnectionPool,
  options: object,
  handler: Dispatcher.DispatchHandler = {},
): Promise<number | (Error & { code?: string })> {
  return new Promise((resolve) => {
    let status = 0;
    const observed: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, code) => {
        status = code;
      },
      onResponseEnd: () => resolve(status),
      onResponseError: (_controller, error) => resolve(error),
      ...handler,
    };
    pool.dispatch(options as PoolDispatchOptions, observed);
  });
}

/** After whatever went wrong the pool of one connection still serves, and has leaked nothing. */
async function expectSound(pool: ConnectionPool, server: TestServer): Promise<void> {
  expect(await text(pool.fetch(server.origin))).toBe("ok");
  expect(pool.stats()).toMatchObject(QUIET);
  await pool.close();
  await server.idle();
  expect(pool.stats()).toMatchObject({ open: 0, streams: 0 });
}

describe("what a request asks for", () => {
  const CASES: readonly [string, object][] = [
    ["no options at all", undefined as unknown as object],
    ["no method", { path: "/" }],
    ["no path", { method: "GET" }],
    ["a method with a line break", { path: "/", method: "GET\r\nX: 1" }],
    ["a method with a space", { path: "/", method: "GET /other" }],
    ["a path with a line break", { path: "/\r\nhost: evil", method: "GET" }],
    ["a path with a space", { path: "/ HTTP/1.1", method: "GET" }],
    ["a path that is no path", { path: "other", method: "GET" }],
    ["a header value with a line break", { path: "/", method: "GET", headers: { a: "b\r\nc: d" } }],
    ["a header value with a NUL", { path: "/", method: "GET", headers: { a: "b\0" } }],
    ["a header name with a line break", { path: "/", method: "GET", headers: { "a\r\nb": "c" } }],
    ["a header name with a colon", { path: "/", method: "GET", headers: { "a:b": "c" } }],
    ["headers of an odd length", { path: "/", method: "GET", headers: ["a"] }],
    ["headers that are a number", { path: "/", method: "GET", headers: 5 }],
    ["a second host header", { path: "/", method: "GET", headers: ["host", "a", "host", "b"] }],
    [
      "a transfer-encoding of its own",
      { path: "/", method: "POST", headers: { "transfer-encoding": "chunked" } },
    ],
    [
      "a negative content-length",
      { path: "/", method: "POST", body: "x", headers: { "content-length": "-1" } },
    ],
    [
      "a content-length that is no number",
      { path: "/", method: "POST", body: "x", headers: { "content-length": "x" } },
    ],
    [
      "a content-length that is too small",
      { path: "/", method: "POST", body: "long", headers: { "content-length": "1" } },
    ],
    [
      "a content-length that is too large",
      { path: "/", method: "POST", body: "x", headers: { "content-length": "9" } },
    ],
    ["a body that is a number", { path: "/", method: "POST", body: 5 }],
    ["a body that is an object", { path: "/", method: "POST", body: {} }],
    ["a lane that is none", { path: "/", method: "GET", lane: "fast" }],
    ["another origin", { path: "/", method: "GET", origin: "http://other.test" }],
    ["an origin that is none", { path: "/", method: "GET", origin: "::" }],
    ["a negative headersTimeout", { path: "/", method: "GET", headersTimeout: -1 }],
    ["a negative bodyTimeout", { path: "/", method: "GET", bodyTimeout: -1 }],
  ];

  test.each(CASES)("%s is a typed error, and costs nothing", async (_what, options) => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const error = await outcome(pool, options);
    expect(error).toBeInstanceOf(Error);
    expect((error as { code?: string }).code).toMatch(/^(HTTP_POOL|UND_ERR)_/);
    await expectSound(pool, server);
    expect(server.requests).toBe(1);
  });

  test.each([
    ["nothing", undefined],
    ["no URL", "nowhere"],
    ["a relative URL", "/path"],
    ["credentials", "http://user:secret@127.0.0.1/"],
    ["another protocol", "file:///etc/passwd"],
    ["a number", 5],
  ])("fetch of %s is refused", async (_what, input) => {
    const agent = new PoolAgent();
    const error = await rejection(agent.fetch(input as string));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.message).not.toContain("secret");
    expect(agent.stats()).toMatchObject({ origins: 0, created: 0 });
  });

  test("whatever is asked of a pool that is closed or destroyed is refused", async () => {
    await using server = await new TestServer().start();
    for (const end of ["close", "destroy"] as const) {
      const pool = new ConnectionPool(server.origin, { minIdle: 1 });
      await pool[end]();
      const closed = { code: "HTTP_POOL_CLOSED" };
      expect(await rejection(pool.fetch(server.origin))).toMatchObject(closed);
      expect(await rejection(pool.fetch(server.origin, { lane: "stream" }))).toMatchObject(closed);
      expect(await rejection(pool.warmUp())).toMatchObject(closed);
      expect(await pool.healthCheck()).toMatchObject({ ok: false, error: closed });
      pool.resize(5);
      await Promise.all([pool.close(), pool.destroy(), pool.drain()]);
      expect(pool.stats()).toMatchObject({ ...QUIET, open: 0, created: 0 });
    }
    expect(server.sockets).toBe(0);
  });
});

test("what is wrong is thrown at a handler that cannot be told", async () => {
  await using pool = new ConnectionPool("http://localhost:1");
  const handler: Dispatcher.DispatchHandler = { onRequestStart: () => undefined };
  expect(() => pool.dispatch({ path: "/", method: "GET", lane: "fast" as never }, handler)).toThrow(
    InvalidArgumentError,
  );
});

async function* objects(): AsyncGenerator {
  yield { secret: "object" };
}

async function startReading(): Promise<{
  server: TestServer;
  pool: ConnectionPool;
  time: FakeTime;
}> {
  const time = new FakeTime();
  const server = await new TestServer((request, response) => {
    request.resume().on("end", () => response.end("ok"));
  }).start();
  const options = { maxConnections: 1, now: time.now, schedule: time.schedule };
  return { server, time, pool: new ConnectionPool(server.origin, options) };
}

describe("a request body", () => {
  test("that stops half-way without an end is an error after bodyTimeoutMs", async () => {
    const { server, pool, time } = await startReading();
    const begun = Promise.withResolvers<void>();
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("begin");
      begun.resolve();
      await new Promise(() => undefined);
    }
    const sent = pool.fetch(server.origin, { method: "POST", body: stuck() as never });
    const failed = rejection(sent);
    await begun.promise;
    time.advance(59_000);
    expect(pool.stats()).toMatchObject({ active: 1 });
    time.advance(6000);
    expect(await failed).toMatchObject({
      code: "HTTP_POOL_REQUEST_BODY_TIMEOUT",
      upstream: server.origin,
      bodyTimeoutMs: 60_000,
    });
    expect(await failed).toBeInstanceOf(HttpPoolError);
    await expectSound(pool, server);
    await server.stop();
  });

  test("that goes on without an end ends with the caller's abort, and its iterator is closed", async () => {
    const { server, pool, time } = await startReading();
    const returned = Promise.withResolvers<void>();
    const twenty = Promise.withResolvers<void>();
    let sentChunks = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          sentChunks += 1;
          if (sentChunks === 20) twenty.resolve();
          yield Buffer.alloc(1000);
          time.advance(10_000);
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        returned.resolve();
      }
    }
    const controller = new AbortController();
    const failed = rejection(
      pool.fetch(server.origin, {
        method: "POST",
        body: endless() as never,
        signal: controller.signal,
        headersTimeoutMs: 0,
      }),
    );
    await twenty.promise;
    controller.abort();
    expect((await failed).name).toBe("AbortError");
    await returned.promise;
    await expectSound(pool, server);
    await server.stop();
  });

  test.each([
    ["throws at once", 0],
    ["throws half-way", 3],
  ])("that %s is told with its own error", async (_what, chunks) => {
    const { server, pool } = await startReading();
    const broken = new Error("no more");
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < chunks; sent += 1) yield Buffer.from("part");
      throw broken;
    }
    const error = await rejection(
      pool.fetch(server.origin, { method: "POST", body: body() as never }),
    );
    expect(error).toBe(broken);
    await expectSound(pool, server);
    await server.stop();
  });

  test("that yields something else than bytes is an error", async () => {
    const { server, pool } = await startReading();
    const error = await rejection(
      pool.fetch(server.origin, { method: "POST", body: objects() as never }),
    );
    expect(error).toBeInstanceOf(Error);
    expect(error.message).not.toContain("secret");
    await expectSound(pool, server);
    await server.stop();
  });
});

describe("a handler that throws", () => {
  test.each([
    "onRequestStart",
    "onBodySent",
    "onRequestSent",
    "onResponseStarted",
    "onResponseStart",
    "onResponseData",
    "onResponseEnd",
    "onResponseError",
  ])("in %s harms nobody else", async (method) => {
    await using server = await new TestServer((request, response) => {
      if (request.url === "/reset") request.socket.resetAndDestroy();
      else request.resume().on("end", () => response.end("ok"));
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const called = Promise.withResolvers<void>();
    const thrown = new Error("from the handler");
    const fail = (): never => {
      called.resolve();
      throw thrown;
    };
    const path = method === "onResponseError" ? "/reset" : "/";
    const ended = outcome(pool, { path, method: "POST", body: "x" }, { [method]: fail });
    await called.promise;
    // What throws while it is told of the end is told nothing more.
    const told = method === "onResponseError" ? thrown : await ended;
    expect(told).toBe(thrown);
    await expectSound(pool, server);
  });

  test("and has no method at all", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    pool.dispatch({ path: "/", method: "GET" }, { onRequestStart: () => undefined });
    await expectSound(pool, server);
  });
});

describe("what a server answers", () => {
  const answers: Record<string, string> = {
    "/huge-headers": `HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`,
    "/negative": "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
    "/two-lengths": "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nhi",
    "/both": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
    "/chunk": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nhi\r\n",
    "/no-http": "SSH-2.0-OpenSSH_9.2\r\n",
    "/status": "HTTP/1.1 999999 Odd\r\n\r\n",
    "/short": "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nshort",
    "/nothing": "",
  };
  let origin = "";
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      const path = data.toString().split(" ")[1] ?? "/";
      if (path === "/") socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      else socket.end(answers[path] ?? "");
    });
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  test.each(Object.keys(answers))("%s is an error with a code, and leaks nothing", async (path) => {
    const pool = new ConnectionPool(origin, { maxConnections: 1 });
    const error = await rejection(text(pool.fetch(origin + path)));
    expect(error.code).toMatch(/^(UND_ERR|ECONN|HTTP_POOL_INVALID_RESPONSE)/);
    expect(await text(pool.fetch(origin))).toBe("ok");
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1 });
    await pool.close();
    expect(pool.stats().open).toBe(0);
  });
});
