import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { readFetch } from "../src/fetch-request.ts";
import { BodyTimeoutError, ConnectionPool } from "../src/index.ts";
import { sized } from "../src/sized-body.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

describe("what fetch cannot honour is refused", () => {
  const integrity = `sha256-${createHash("sha256").update("original").digest("base64")}`;

  test.each<[string, string, object]>([
    ["a signal that is none", "signal", { signal: {} }],
    ["a signal that is a string", "signal", { signal: "x" }],
    ["a signal that is a number", "signal", { signal: 1 }],
    ["a signal that is an emitter", "signal", { signal: new EventEmitter() }],
    ["integrity", "integrity", { integrity }],
    ["another dispatcher", "dispatcher", { dispatcher: {} }],
    ["a wrong redirect", "redirect", { redirect: "sometimes" }],
    ["a negative headersTimeoutMs", "headersTimeoutMs", { headersTimeoutMs: -1 }],
    ["a bodyTimeoutMs of no number", "bodyTimeoutMs", { bodyTimeoutMs: "1" }],
    ["an eventTimeoutMs that is too long", "eventTimeoutMs", { eventTimeoutMs: 2 ** 40 }],
    ["a lane that is none", "lane", { lane: "fast" }],
    ["headers that are a string", "headers", { headers: "s3cr3t" }],
    ["headers that are null", "headers", { headers: null }],
    ["a method that is a number", "method", { method: 5 }],
    ["a body that is a number", "body", { method: "POST", body: 12_345 }],
  ])("%s", async (_name, argument, init) => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    const error = await rejection(pool.fetch(server.origin, init));
    expect(error).toMatchObject({ code: "HTTP_POOL_INVALID_ARGUMENT", argument });
    expect(error.message).not.toMatch(/s3cr3t|12345/);
    expect(server.requests).toBe(0);
  });

  test("the integrity of a Request too", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    const request = new Request(server.origin, { integrity });
    expect(await rejection(pool.fetch(request))).toMatchObject({ argument: "integrity" });
  });

  test("what no server notices is not: null, undefined and the options of browsers", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    const init = { signal: null, integrity: "", cache: "no-store", mode: "cors" } as const;
    expect(await text(pool.fetch(server.origin, { ...init, lane: undefined }))).toBe("ok");
    expect(await text(pool.fetch(server.origin, null as never))).toBe("ok");
  });
});

test("a body's time-out is the same error, whoever asked for it", async () => {
  await using server = await new TestServer((_request, response) => {
    response.write("x");
  }).start();
  await using pool = new ConnectionPool(server.origin);
  const response = await pool.fetch(server.origin, { bodyTimeoutMs: 20 });
  const error = await rejection(response.text());
  expect(error).toBeInstanceOf(BodyTimeoutError);
  expect(error).toMatchObject({ upstream: server.origin, bodyTimeoutMs: 20 });
});

interface Seen {
  readonly length: string | undefined;
  readonly type: string | undefined;
  readonly bytes: number;
  readonly text: string;
}

async function read(request: IncomingMessage): Promise<Seen> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { "content-length": length, "content-type": type } = request.headers;
  return { length, type, bytes: body.length, text: body.toString().slice(0, 200) };
}

async function receiver(): Promise<{ server: TestServer; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = await new TestServer((request, response) => {
    const answer = async (): Promise<void> => {
      seen.push(await read(request));
      if (request.url === "/moved") response.writeHead(307, { location: "/" });
      response.end();
    };
    void answer();
  }).start();
  return { server, seen };
}

describe("blobs and forms", () => {
  test.each([10, 2_000_000])(
    "a blob of %i bytes has a length, and follows a redirect",
    async (size) => {
      const { server, seen } = await receiver();
      await using pool = new ConnectionPool(server.origin);
      const body = new Blob(["x".repeat(size)], { type: "text/x" });
      const response = await pool.fetch(`${server.origin}/moved`, { method: "PUT", body });
      expect(response.status).toBe(200);
      const sent = { length: String(size), type: "text/x", bytes: size };
      expect(seen).toMatchObject([sent, sent]);
      await server.stop();
    },
  );

  test("a small form has a length, and follows a redirect", async () => {
    const { server, seen } = await receiver();
    await using pool = new ConnectionPool(server.origin);
    const body = new FormData();
    body.set("name", "value");
    body.set("file", new Blob(["content"]), "name.txt");
    await text(pool.fetch(`${server.origin}/moved`, { method: "POST", body }));
    expect(seen).toHaveLength(2);
    for (const { length, bytes, type, text: sent } of seen) {
      expect(Number(length)).toBe(bytes);
      const boundary = /boundary=(.+)$/.exec(type ?? "")?.[1] ?? "none";
      expect(sent).toContain(boundary);
      expect(sent).toContain('name="name"');
    }
    await server.stop();
  });

  test("a large form is a stream", async () => {
    const { server, seen } = await receiver();
    await using pool = new ConnectionPool(server.origin);
    const body = new FormData();
    body.set("file", new Blob(["x".repeat(2_000_000)]), "name.txt");
    await text(pool.fetch(server.origin, { method: "POST", body }));
    expect(seen).toMatchObject([{ length: undefined }]);
    expect(seen[0]?.bytes).toBeGreaterThan(2_000_000);
    await server.stop();
  });

  test("a large blob is not held in memory", async () => {
    const large = new Blob([new Uint8Array(1024 * 1024 + 1)]);
    expect((await asked(large)).body).toBe(large);
    const small = new Blob([new Uint8Array(1024 * 1024)]);
    expect((await asked(small)).body).toBeInstanceOf(Uint8Array);
  });

  test("a small blob is sent again when its connection turns out to be dead", async () => {
    const used = new WeakSet<object>();
    await using server = await new TestServer((request, response) => {
      if (used.has(request.socket)) return void request.socket.resetAndDestroy();
      used.add(request.socket);
      return void request.resume().on("end", () => response.end("ok"));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    await text(pool.fetch(server.origin));
    const init = { method: "PUT", body: new Blob(["x"]) };
    expect(await text(pool.fetch(server.origin, init))).toBe("ok");
    expect(pool.stats()).toMatchObject({ replays: 1, failed: 0 });
  });
});

function asked(body: Blob): Promise<{ body: unknown }> {
  return sized(readFetch("http://localhost/", { method: "POST", body }), body);
}
