import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { Http2SecureServer, Http2Session, ServerHttp2Stream, Settings } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { certificate } from "./helpers/certificate.ts";
import { rejection, text, times } from "./helpers/outcome.ts";

type OnStream = (stream: ServerHttp2Stream, path: string, session: Http2Session) => void;

function answer(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.end("ok");
}

/** A real HTTP/2 server that counts its sessions and streams. */
class H2Server {
  sessions = 0;
  streams = 0;
  /** Most streams at once on one session, and of all. */
  peakPerSession = 0;
  peak = 0;
  readonly methods: string[] = [];
  readonly open = new Set<Http2Session>();
  readonly #server: Http2SecureServer;
  readonly #load = new Map<Http2Session, number>();

  constructor(onStream: OnStream = answer, settings: Settings = {}) {
    this.#server = createSecureServer({ ...certificate, settings });
    this.#server.on("session", (session) => {
      this.sessions += 1;
      this.open.add(session);
      session.on("close", () => this.open.delete(session)).on("error", () => undefined);
    });
    this.#server.on("stream", (stream, headers) => {
      const { session } = stream;
      if (session === undefined) return;
      this.streams += 1;
      this.methods.push(headers[":method"] ?? "");
      this.#count(session, 1);
      stream.on("close", () => this.#count(session, -1)).on("error", () => undefined);
      onStream(stream, headers[":path"] ?? "", session);
    });
  }

  get origin(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.open) session.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #count(session: Http2Session, change: number): void {
    const load = (this.#load.get(session) ?? 0) + change;
    this.#load.set(session, load);
    this.peakPerSession = Math.max(this.peakPerSession, load);
    this.peak = Math.max(
      this.peak,
      [...this.#load.values()].reduce((sum, count) => sum + count, 0),
    );
  }
}

function poolOf(server: H2Server, options: ConnectionPoolOptions = {}): ConnectionPool {
  return new ConnectionPool(server.origin, {
    allowH2: true,
    tls: { ca: certificate.cert },
    ...options,
  });
}

describe("HTTP/2", () => {
  test.each([1, 100])(
    "connections are reused, bounded and counted, with maxConcurrentStreams %d",
    async (maxConcurrentStreams) => {
      await using server = await new H2Server(answer, { maxConcurrentStreams }).start();
      await using pool = poolOf(server, { maxConnections: 3 });
      for (let round = 0; round < 5; round += 1)
        await Promise.all(Array.from({ length: 20 }, () => text(pool.fetch(server.origin))));
      const { created, requests, reused, failed } = pool.stats();
      expect({ created, requests, reused, failed }).toEqual({
        created: server.sessions,
        requests: server.streams,
        reused: server.streams - server.sessions,
        failed: 0,
      });
      expect(requests).toBe(100);
      expect(server.sessions).toBeLessThanOrEqual(3);
      expect(server.peak).toBeLessThanOrEqual(3);
      expect(server.peakPerSession).toBe(1);
    },
  );

  test("it is off unless it is asked for, and HTTP/1.1 is spoken where it is not offered", async () => {
    await using server = await new H2Server().start();
    await using pool = poolOf(server, { allowH2: false });
    // This server speaks nothing else.
    await rejection(text(pool.fetch(server.origin)));
    expect(server.streams).toBe(0);
  });

  test("a body goes both ways", async () => {
    await using server = await new H2Server((stream) => {
      stream.respond({ ":status": 200, "content-type": "text/plain" });
      stream.pipe(stream);
    }).start();
    await using pool = poolOf(server);
    const body = "x".repeat(200_000);
    expect(await text(pool.fetch(server.origin, { method: "POST", body }))).toBe(body);
    expect(pool.stats()).toMatchObject({ active: 0, failed: 0, requests: 1 });
  });

  test("a warm connection is used by the first request, and one that the server ends is noticed", async () => {
    await using server = await new H2Server().start();
    await using pool = poolOf(server, { maxConnections: 2 });
    await pool.warmUp(2);
    while (server.sessions < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(await text(pool.fetch(server.origin))).toBe("ok");
    expect(pool.stats()).toMatchObject({ created: 2, requests: 1 });
    const closed = times(pool, "close", 2);
    for (const session of server.open) session.close();
    await closed;
    expect(pool.stats()).toMatchObject({ open: 0, closed: { peer: 2 } });
    expect(await text(pool.fetch(server.origin))).toBe("ok");
  });

  test("what a server says before it is asked is heard: a small window is kept to", async () => {
    await using server = await new H2Server(
      (stream) => {
        stream.respond({ ":status": 200 });
        stream.pipe(stream);
      },
      { initialWindowSize: 100 },
    ).start();
    await using pool = poolOf(server, { maxConnections: 1 });
    await pool.warmUp(1);
    while (server.sessions < 1) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const body = "x".repeat(5000);
    expect(await text(pool.fetch(server.origin, { method: "POST", body }))).toBe(body);
    expect(pool.stats()).toMatchObject({ created: 1, failed: 0, replays: 0 });
  });

  test.each(["/destroy", "/rst", "/goaway"])(
    "%s fails the request that is under way alone, and it runs once",
    async (broken) => {
      await using server = await new H2Server((stream, path, session) => {
        if (path === "/goaway") session.goaway(2);
        else if (path === "/destroy") session.destroy();
        else if (path === "/rst") stream.close(8);
        else answer(stream);
      }).start();
      await using pool = poolOf(server, { maxConnections: 2 });
      const error = rejection(
        text(pool.fetch(server.origin + broken, { method: "POST", body: "once" })),
      );
      const others = [pool.fetch(server.origin), pool.fetch(server.origin)].map(text);
      expect((await error).code).toMatch(/^(UND_ERR|ERR_HTTP2)_/);
      expect(await Promise.all(others)).toEqual(["ok", "ok"]);
      expect(await text(pool.fetch(server.origin))).toBe("ok");
      expect(server.methods.filter((method) => method === "POST")).toHaveLength(1);
      expect(pool.stats()).toMatchObject({ active: 0, waiting: 0, failed: 1 });
    },
  );

  test("a session that ends in good order answers what it has, and the next request goes elsewhere", async () => {
    await using server = await new H2Server((stream, path, session) => {
      if (path === "/last") session.close();
      answer(stream);
    }).start();
    await using pool = poolOf(server, { maxConnections: 1 });
    for (let round = 1; round <= 5; round += 1) {
      expect(await text(pool.fetch(`${server.origin}/last`))).toBe("ok");
      const next = pool.fetch(server.origin, { method: "POST", body: "once" });
      expect(await text(next)).toBe("ok");
      await pool.drain();
    }
    expect(server.methods.filter((method) => method === "POST")).toHaveLength(5);
    expect(pool.stats()).toMatchObject({ failed: 0, active: 0, waiting: 0 });
  });

  test("an abort and close leave nothing behind", async () => {
    const held = Promise.withResolvers<void>();
    await using server = await new H2Server((stream, path) => {
      if (path === "/hold") held.resolve();
      else answer(stream);
    }).start();
    const pool = poolOf(server, { maxConnections: 1 });
    const controller = new AbortController();
    const failed = rejection(pool.fetch(`${server.origin}/hold`, { signal: controller.signal }));
    await held.promise;
    controller.abort();
    expect((await failed).name).toBe("AbortError");
    expect(await text(pool.fetch(server.origin))).toBe("ok");
    await pool.close();
    expect(pool.stats()).toMatchObject({ open: 0, active: 0, aborted: 1 });
  });
});
