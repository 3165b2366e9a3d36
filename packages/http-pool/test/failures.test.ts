import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, test } from "vitest";
import {
  BodyNotReadError,
  BodyTimeoutError,
  PoolClosedError,
  ConnectionPool,
  UpstreamUnavailableError,
} from "../src/index.ts";
import type { ReplayEvent } from "../src/index.ts";
import { FakeTime, turn } from "./helpers/fake-time.ts";
import { brokenAfterFirst, rejection, text, times } from "./helpers/outcome.ts";
import { ok, RawServer } from "./helpers/raw-server.ts";
import { TestServer } from "./helpers/test-server.ts";

const QUIET = { active: 0, waiting: 0, connecting: 0 };

describe("a failure gives the slot back and the next one goes on", () => {
  test("a server that resets while it should answer", async () => {
    await using server = await new TestServer((request, response) => {
      if (request.url === "/reset") request.socket.resetAndDestroy();
      else response.end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const failed = rejection(pool.fetch(`${server.origin}/reset`));
    const next = text(pool.fetch(server.origin));
    expect((await failed).code).toMatch(/^(UND_ERR_SOCKET|ECONNRESET)$/);
    expect(await next).toBe("ok");
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1, replays: 0, closed: { error: 1 } });
  });

  test("a server that resets half-way through a body", async () => {
    await using server = await new TestServer((request, response) => {
      if (request.url !== "/half") return response.end("ok");
      response.writeHead(200, { "content-length": "1000" });
      return response.write("half", () => request.socket.resetAndDestroy());
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const failed = rejection(text(pool.fetch(`${server.origin}/half`)));
    const next = text(pool.fetch(server.origin));
    expect((await failed).message).not.toBe("expected a rejection");
    expect(await next).toBe("ok");
    expect(server.sockets).toBe(2);
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1, replays: 0 });
  });

  test("a server that never answers", async () => {
    await using server = await new TestServer((request, response) => {
      if (request.url !== "/never") response.end("ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      headersTimeoutMs: 20,
    });
    const failed = rejection(pool.fetch(`${server.origin}/never`));
    const next = text(pool.fetch(server.origin));
    expect(await failed).toMatchObject({ code: "UND_ERR_HEADERS_TIMEOUT" });
    expect(await next).toBe("ok");
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1, closed: { error: 1 } });
  });

  test("a server that stalls in the body", async () => {
    const time = new FakeTime();
    await using server = await new TestServer((request, response) => {
      if (request.url !== "/stall") return response.end("ok");
      return response.writeHead(200).write("begin");
    }).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      bodyTimeoutMs: 1000,
      now: time.now,
      schedule: time.schedule,
    });
    const [failed] = await brokenAfterFirst(pool.fetch(`${server.origin}/stall`));
    const next = text(pool.fetch(server.origin));
    time.advance(900);
    expect(pool.stats()).toMatchObject({ active: 1, waiting: 1 });
    time.advance(200);
    const error = await failed;
    expect(error).toBeInstanceOf(BodyTimeoutError);
    expect(error).toMatchObject({ code: "HTTP_POOL_BODY_TIMEOUT", bodyTimeoutMs: 1000 });
    expect(await next).toBe("ok");
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1, aborted: 0 });
  });

  test("a caller who never reads a long body", async () => {
    const time = new FakeTime();
    await using server = await new TestServer((request, response) => {
      response.end(request.url === "/long" ? Buffer.alloc(10_000_000) : "ok");
    }).start();
    await using pool = new ConnectionPool(server.origin, {
      maxConnections: 1,
      bodyTimeoutMs: 1000,
      now: time.now,
      schedule: time.schedule,
    });
    const unread = Promise.withResolvers<Error>();
    const paused = Promise.withResolvers<void>();
    const handler = {
      onRequestStart: () => undefined,
      onResponseStart: (controller: { pause(): void }) => {
        controller.pause();
        paused.resolve();
      },
      onResponseError: (_controller: unknown, reason: Error) => unread.resolve(reason),
    };
    pool.dispatch({ path: "/long", method: "GET" }, handler);
    await paused.promise;
    const next = text(pool.fetch(server.origin));
    time.advance(1250);
    expect(await next).toBe("ok");
    const error = await unread.promise;
    expect(error).toBeInstanceOf(BodyNotReadError);
    expect(error).toMatchObject({ code: "HTTP_POOL_BODY_NOT_READ", upstream: server.origin });
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1 });
  });

  test("a body that stands still does not hold up close", async () => {
    const time = new FakeTime();
    await using server = await new TestServer((request, response) => {
      if (request.url === "/events") response.setHeader("content-type", "text/event-stream");
      response.write("begin");
    }).start();
    const pool = new ConnectionPool(server.origin, {
      bodyTimeoutMs: 1000,
      now: time.now,
      schedule: time.schedule,
    });
    const [stalled] = await brokenAfterFirst(pool.fetch(`${server.origin}/stall`));
    const [events] = await brokenAfterFirst(pool.fetch(`${server.origin}/events`));
    const closed = pool.close();
    expect(await events).toBeInstanceOf(PoolClosedError);
    time.advance(1250);
    expect(await stalled).toBeInstanceOf(BodyTimeoutError);
    await closed;
    expect(time.pending).toBe(0);
    expect(await pool.healthCheck()).toMatchObject({
      ok: false,
      error: { code: "HTTP_POOL_CLOSED" },
    });
  });

  test("an event stream may be silent for as long as it likes", async () => {
    const time = new FakeTime();
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-type", "text/event-stream");
      response.write("data: 1\n\n");
    }).start();
    await using pool = new ConnectionPool(server.origin, {
      now: time.now,
      schedule: time.schedule,
    });
    const response = await pool.fetch(server.origin, { lane: "stream" });
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("data: 1\n\n");
    time.advance(3_600_000);
    expect(pool.stats()).toMatchObject({ streams: 1, failed: 0 });
    const closed = times(pool, "close", 1);
    await reader?.cancel();
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, streams: 0 });
  });

  test("a request body that throws half-way", async () => {
    await using server = await new TestServer((request, response) => {
      request.resume().on("end", () => response.end("ok"));
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const broken = new Error("no more");
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("first");
      throw broken;
    }
    const init = { method: "POST", body: body() as unknown as ReadableStream } as const;
    const failed = rejection(pool.fetch(server.origin, init));
    const next = text(pool.fetch(server.origin));
    expect(await failed).toBe(broken);
    expect(await next).toBe("ok");
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1, replays: 0 });
  });

  test("a wrong header is told to the caller and costs nothing", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const wrong = { headers: { "x-wrong": "a\nb" } };
    expect(await rejection(pool.fetch(server.origin, wrong))).toMatchObject({
      code: "UND_ERR_INVALID_ARG",
    });
    expect(await text(pool.fetch(server.origin))).toBe("ok");
    expect(server).toMatchObject({ sockets: 1, requests: 1 });
    expect(pool.stats()).toMatchObject({ ...QUIET, failed: 1 });
  });

  test("a server that answers HEAD with a body cannot slip it under the next request", async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        const body = data.toString().startsWith("HEAD")
          ? "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
          : "ok";
        socket.write(
          `HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using pool = new ConnectionPool(origin, { maxConnections: 1 });
    const head = pool.fetch(origin, { method: "HEAD" });
    const next = text(pool.fetch(origin));
    expect((await head).status).toBe(200);
    expect(await next).toBe("ok");
    expect(sockets.size).toBe(2);
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  test("a handler that throws", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const thrown = new Error("from the handler");
    const dispatch = (methods: object): Promise<Error> =>
      new Promise((resolve) => {
        const handler = {
          onRequestStart: () => undefined,
          onResponseError: (_controller: unknown, error: Error) => resolve(error),
        };
        pool.dispatch({ path: "/", method: "GET" }, { ...handler, ...methods });
      });
    const fail = (): never => {
      throw thrown;
    };
    expect(await dispatch({ onRequestStart: fail })).toBe(thrown);
    expect(await dispatch({ onResponseStart: fail })).toBe(thrown);
    expect(await dispatch({ onResponseData: fail })).toBe(thrown);
    expect(await dispatch({ onResponseEnd: fail })).toBe(thrown);
    expect(await text(pool.fetch(server.origin))).toBe("ok");
    expect(pool.stats()).toMatchObject(QUIET);
  });

  test("an outage and its end: fast errors, then service at once", async () => {
    const server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 4 });
    await Promise.all(Array.from({ length: 8 }, () => text(pool.fetch(server.origin))));
    await server.stop();
    const errors = await Promise.all(
      Array.from({ length: 50 }, () => rejection(pool.fetch(`${server.origin}/?token=secret`))),
    );
    for (const error of errors) {
      expect(error).toBeInstanceOf(UpstreamUnavailableError);
      expect(error).toMatchObject({
        code: "HTTP_POOL_UPSTREAM_UNAVAILABLE",
        upstream: server.origin,
        retryAfterMs: 1000,
        cause: { code: "ECONNREFUSED" },
      });
      expect(error.message).not.toContain("secret");
    }
    expect(pool.stats()).toMatchObject({ ...QUIET, connectErrors: 50, open: 0 });
    await server.start();
    const answers = Array.from({ length: 50 }, () => text(pool.fetch(server.origin)));
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["ok"]));
    expect(pool.stats()).toMatchObject({ ...QUIET, connectErrors: 50 });
    await server.stop();
  });
});

/** Answers the first request of a connection, and resets it at the second. */
async function staleServer(): Promise<{ origin: string; seen: string[]; stop: () => void }> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let requests = 0;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      seen.push(data.toString().split(" ", 1)[0] ?? "");
      requests += 1;
      if (requests > 1) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { origin: `http://127.0.0.1:${port}`, seen, stop };
}

describe("a keep-alive connection that is dead already", () => {
  test("an idempotent request is sent again, once, on a new connection", async () => {
    const { origin, seen, stop } = await staleServer();
    await using pool = new ConnectionPool(origin);
    const replays: ReplayEvent[] = [];
    pool.on("replay", (event) => replays.push(event));
    expect(await text(pool.fetch(origin))).toBe("ok");
    expect(await text(pool.fetch(origin))).toBe("ok");
    expect(await text(pool.fetch(origin, { method: "PUT", body: "again" }))).toBe("ok");
    expect(seen).toEqual(["GET", "GET", "GET", "PUT", "PUT"]);
    expect(pool.stats()).toMatchObject({ replays: 2, failed: 0, created: 3, requests: 5 });
    expect(replays).toHaveLength(2);
    expect(replays[0]).toMatchObject({ upstream: origin });
    stop();
  });

  test.each([
    ["GET", undefined, 2],
    ["POST", true, 2],
    ["POST", undefined, 1],
  ] as const)(
    "one that was opened in advance may be dead too: %s, idempotent %s, is sent %d times",
    async (method, idempotent, sent) => {
      let requests = 0;
      const server = createServer((socket) => {
        socket
          .on("error", () => undefined)
          .on("data", () => {
            requests += 1;
            if (requests === 1) socket.resetAndDestroy();
            else socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
          });
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const pool = new ConnectionPool(origin);
      await pool.warmUp(1);
      const body = method === "POST" ? "x" : null;
      const init = { method, body, ...(idempotent !== undefined && { idempotent }) };
      const outcome = await text(pool.fetch(origin, init)).catch((error: Error) => error);
      expect(outcome === "ok").toBe(sent === 2);
      expect(requests).toBe(sent);
      expect(pool.stats()).toMatchObject({ replays: sent - 1, failed: 2 - sent, reused: 0 });
      await pool.close();
      server.close();
    },
  );

  test("a POST is not, unless it is said to be idempotent", async () => {
    const { origin, seen, stop } = await staleServer();
    await using pool = new ConnectionPool(origin);
    expect(await text(pool.fetch(origin))).toBe("ok");
    const error = await rejection(pool.fetch(origin, { method: "POST", body: "once" }));
    expect(error.code).toMatch(/^(UND_ERR_SOCKET|ECONNRESET)$/);
    expect(await text(pool.fetch(origin))).toBe("ok");
    const post = { method: "POST", body: "again", idempotent: true };
    expect(await text(pool.fetch(origin, post))).toBe("ok");
    expect(seen).toEqual(["GET", "POST", "GET", "POST", "POST"]);
    expect(pool.stats()).toMatchObject({ replays: 1, failed: 1 });
    stop();
  });

  test("a body that is a stream is not sent again", async () => {
    const { origin, stop } = await staleServer();
    await using pool = new ConnectionPool(origin);
    expect(await text(pool.fetch(origin))).toBe("ok");
    const init = { method: "PUT", body: new Blob(["x"]).stream(), duplex: "half" as const };
    expect((await rejection(pool.fetch(origin, init))).code).toMatch(
      /^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/,
    );
    expect(pool.stats()).toMatchObject({ replays: 0, failed: 1 });
    stop();
  });

  test("the connections that are idle for even longer go with it", async () => {
    const { origin, stop } = await staleServer();
    const { now, schedule, pass } = clock();
    await using pool = new ConnectionPool(origin, { maxConnections: 5, now, schedule });
    await Promise.all(Array.from({ length: 5 }, () => text(pool.fetch(origin))));
    pass(1000);
    const closed = times(pool, "close", 5);
    expect(await text(pool.fetch(origin))).toBe("ok");
    await closed;
    expect(pool.stats()).toMatchObject({ open: 1, replays: 1, closed: { error: 1, stale: 4 } });
    stop();
  });

  test("those that are idle for a shorter time stay, and so do all when it was hardly idle", async () => {
    const held: (() => void)[] = [];
    await using server = await new RawServer((socket, head) => {
      if (head.includes("/poison")) socket.resetAndDestroy();
      else if (head.includes("/later")) held.push(() => socket.resetAndDestroy());
      else held.push(() => socket.write(ok()));
    }).start();
    const { now, schedule, pass } = clock();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 5, now, schedule });
    const answers = async (count: number): Promise<void> => {
      const all = Array.from({ length: count }, () => text(pool.fetch(`${server.origin}/held`)));
      while (held.length < count) await turn();
      for (const answer of held.splice(0)) answer();
      await Promise.all(all);
    };
    await answers(5);
    await rejection(pool.fetch(`${server.origin}/poison`));
    expect(pool.stats()).toMatchObject({ replays: 1, closed: { stale: 0 } });
    await answers(5);
    pass(2000);
    const fresh = text(pool.fetch(`${server.origin}/held`));
    const stale = rejection(pool.fetch(`${server.origin}/later`));
    while (held.length < 2) await turn();
    held[0]?.();
    await fresh;
    held[1]?.();
    while (held.length < 3) await turn();
    expect(pool.stats()).toMatchObject({ replays: 2, idle: 1, closed: { stale: 3 } });
    held[2]?.();
    await stale;
  });

  test("a request that was not even written goes to another connection, a POST too", async () => {
    await using server = await new TestServer((request, response) => {
      request.resume().on("end", () => response.end("ok"));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    await text(pool.fetch(server.origin));
    for (const socket of server.open) socket.destroy();
    // Undici writes one turn of the event loop later, and that turn brings the end of the connection.
    await new Promise((resolve) => setImmediate(resolve));
    const answer = text(pool.fetch(server.origin, { method: "POST", body: "once" }));
    expect(pool.stats()).toMatchObject({ active: 1 });
    expect(await answer).toBe("ok");
    expect(pool.stats()).toMatchObject({ failed: 0, replays: 1, requests: 2 });
    expect(server.requests).toBe(2);
  });
});

function clock(): Pick<FakeTime, "now" | "schedule"> & { readonly pass: (ms: number) => void } {
  const time = new FakeTime();
  return { now: time.now, schedule: time.schedule, pass: (ms) => time.advance(ms) };
}
