import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { PoolFetchInit } from "../src/index.ts";
import { rejection, text, times } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

/** Answers with what it was sent. */
async function echoServer(): Promise<TestServer> {
  return new TestServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url, headers } = request;
      const body = Buffer.concat(chunks).toString();
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ method, url, headers, body }));
    });
  }).start();
}

interface Echo {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

async function echo(input: string | URL | Request, init?: PoolFetchInit): Promise<Echo> {
  const { origin } = new URL(input instanceof Request ? input.url : String(input));
  await using pool = new ConnectionPool(origin);
  return (await (await pool.fetch(input, init)).json()) as Echo;
}

describe("what is sent", () => {
  test("method, path, query and headers", async () => {
    await using server = await echoServer();
    const url = new URL("/a/b?c=d#fragment", server.origin);
    const echoed = await echo(url, { method: "delete", headers: { "X-One": "1" } });
    expect(echoed).toMatchObject({ method: "DELETE", url: "/a/b?c=d" });
    expect(echoed.headers).toMatchObject({
      "x-one": "1",
      accept: "*/*",
      "user-agent": "mcp-accel-http-pool",
    });
  });

  test("headers in each of their forms, repeated ones joined", async () => {
    await using server = await echoServer();
    const forms: PoolFetchInit["headers"][] = [
      { Accept: "a, b" },
      [
        ["accept", "a"],
        ["Accept", "b"],
      ],
      new Headers([
        ["accept", "a"],
        ["accept", "b"],
      ]),
    ];
    for (const headers of forms) {
      const echoed = await echo(server.origin, headers === undefined ? {} : { headers });
      expect(echoed.headers["accept"]).toBe("a, b");
    }
  });

  test.each<[string, PoolFetchInit["body"], string, string | undefined]>([
    ["a string", "täxt", "täxt", "text/plain;charset=UTF-8"],
    ["bytes", Buffer.from("bytes"), "bytes", undefined],
    ["a part of a buffer", new Uint8Array(Buffer.from("-part-")).subarray(1, 5), "part", undefined],
    ["an ArrayBuffer", new Uint8Array(Buffer.from("whole")).buffer, "whole", undefined],
    [
      "form fields",
      new URLSearchParams({ a: "1 2" }),
      "a=1+2",
      "application/x-www-form-urlencoded;charset=UTF-8",
    ],
    ["a blob", new Blob(["blob"], { type: "text/x-blob" }), "blob", "text/x-blob"],
    ["a stream", new Blob(["stream"]).stream(), "stream", undefined],
  ])("a body that is %s", async (_name, body, sent, contentType) => {
    await using server = await echoServer();
    const init = { method: "POST", ...(body !== undefined && { body }) };
    const echoed = await echo(server.origin, init);
    expect(echoed.body).toBe(sent);
    expect(echoed.headers["content-type"]).toBe(contentType);
  });

  test("a form with a file, and an own content type before the derived one", async () => {
    await using server = await echoServer();
    const form = new FormData();
    form.set("file", new Blob(["content"]), "name.txt");
    const sent = await echo(server.origin, { method: "POST", body: form });
    expect(sent.headers["content-type"]).toMatch(/^multipart\/form-data; boundary=/);
    expect(sent.body).toContain('filename="name.txt"');
    const headers = { "content-type": "application/json" };
    const own = await echo(server.origin, { method: "POST", body: "{}", headers });
    expect(own.headers["content-type"]).toBe("application/json");
  });

  test("a Request, with what init changes", async () => {
    await using server = await echoServer();
    const request = new Request(`${server.origin}/path`, {
      method: "PUT",
      headers: { "x-one": "1" },
      body: "of the request",
    });
    expect(await echo(request)).toMatchObject({
      method: "PUT",
      url: "/path",
      body: "of the request",
    });
    const echoed = await echo(new Request(server.origin, { headers: { "x-one": "1" } }), {
      method: "POST",
      body: "of init",
    });
    expect(echoed).toMatchObject({ method: "POST", body: "of init" });
    expect(echoed.headers["x-one"]).toBe("1");
    const replaced = await echo(new Request(server.origin, { headers: { "x-one": "1" } }), {
      headers: { "x-two": "2" },
    });
    expect(replaced.headers).toMatchObject({ "x-two": "2" });
    expect(replaced.headers).not.toHaveProperty("x-one");
  });

  test.each<[string, string, PoolFetchInit, string]>([
    ["a relative URL", "/path", {}, "input"],
    ["a URL with credentials", "http://user:secret@localhost:1/", {}, "input"],
    ["a URL with a password", "http://:secret@localhost:1/", {}, "input"],
    ["another protocol", "ftp://localhost/", {}, "input"],
    ["another origin", "http://localhost:2/", {}, "origin"],
    ["a body with GET", "http://localhost:1/", { body: "x" }, "body"],
    ["a body of no kind", "http://localhost:1/", { method: "POST", body: 1 as never }, "body"],
    ["a lane of no kind", "http://localhost:1/", { lane: "fast" as never }, "lane"],
  ])("%s is refused", async (_name, url, init, argument) => {
    await using pool = new ConnectionPool("http://localhost:1");
    const error = await rejection(pool.fetch(url, init));
    expect(error).toMatchObject({ code: "HTTP_POOL_INVALID_ARGUMENT", argument });
    expect(error.message).not.toContain("secret");
    expect(pool.stats().created).toBe(0);
  });
});

describe("what comes back", () => {
  test("the global Response, with status, text, headers and URL", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      response.writeHead(201, "Made").end("body");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const response = await pool.fetch(`${server.origin}/x?y#z`);
    expect(response).toBeInstanceOf(globalThis.Response);
    expect(response).toMatchObject({
      status: 201,
      statusText: "Made",
      redirected: false,
      ok: true,
    });
    expect(response.url).toBe(`${server.origin}/x?y`);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await response.text()).toBe("body");
  });

  test.each<[string, (body: string) => Buffer]>([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["deflate, gzip", (body) => gzipSync(deflateSync(body))],
  ])("a body coded with %s is decoded", async (coding, encode) => {
    const long = "coded ".repeat(50_000);
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-encoding", coding).end(encode(long));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    expect(await text(pool.fetch(server.origin))).toBe(long);
    expect(await text(pool.fetch(server.origin))).toBe(long);
    expect(server.sockets).toBe(1);
  });

  test("a coded body that was cut short is decoded as far as it came", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-encoding", "gzip").end(gzipSync("coded").subarray(0, -8));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    expect(await text(pool.fetch(server.origin))).toBe("coded");
  });

  test("a coded body that breaks off is an error to whoever reads it", async () => {
    for (const coding of ["gzip", "gzip, gzip"]) {
      await using server = await new TestServer((_request, response) => {
        response.setHeader("content-encoding", coding).setHeader("content-length", 100_000);
        response.write(gzipSync("x".repeat(9000)).subarray(0, 20), () =>
          setImmediate(() => response.socket?.resetAndDestroy()),
        );
      }).start();
      await using pool = new ConnectionPool(server.origin);
      expect(await rejection(text(pool.fetch(server.origin)))).toBeInstanceOf(Error);
      await pool.drain();
    }
  });

  test("an unknown or overlong list of codings is left alone, broken data is an error", async () => {
    let coding = "zip";
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-encoding", coding).end("plain");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    expect(await text(pool.fetch(server.origin))).toBe("plain");
    coding = "gzip, gzip, gzip, gzip";
    expect(await text(pool.fetch(server.origin))).toBe("plain");
    coding = "gzip";
    expect(await rejection(text(pool.fetch(server.origin)))).toMatchObject({
      code: "Z_DATA_ERROR",
    });
    await pool.drain();
  });

  test("a long body keeps pace with its reader, and arrives whole", async () => {
    const size = 5_000_000;
    await using server = await new TestServer((_request, response) => {
      response.end(Buffer.alloc(size, "x"));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const response = await pool.fetch(server.origin);
    let received = 0;
    for await (const chunk of response.body ?? []) received += chunk.byteLength;
    expect(received).toBe(size);
    await pool.drain();
    expect(pool.stats()).toMatchObject({ active: 0, idle: 1 });
  });

  test("a body that nobody reads stops coming", async () => {
    await using server = await new TestServer((request, response) => {
      response.end(request.url === "/long" ? Buffer.alloc(5_000_000) : "ok");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const unread = await pool.fetch(`${server.origin}/long`);
    for (let count = 0; count < 50; count += 1) await text(pool.fetch(server.origin));
    expect(pool.stats()).toMatchObject({ active: 1, idle: 1 });
    expect((await unread.arrayBuffer()).byteLength).toBe(5_000_000);
  });

  test("a cancelled short body keeps its connection, a cancelled long one does not", async () => {
    const sizes: Record<string, number> = { "/short": 1000, "/long": 50_000_000 };
    await using server = await new TestServer((request, response) => {
      response.end(Buffer.alloc(sizes[request.url ?? ""] ?? 0));
    }).start();
    await using pool = new ConnectionPool(server.origin);
    await (await pool.fetch(`${server.origin}/short`)).body?.cancel();
    await pool.drain();
    expect(pool.stats()).toMatchObject({ idle: 1, aborted: 0 });
    const closed = times(pool, "close", 1);
    await (await pool.fetch(`${server.origin}/long`)).body?.cancel();
    await closed;
    expect(pool.stats()).toMatchObject({ idle: 0, aborted: 1, closed: { error: 1 } });
  });

  test("nothing is sent for a signal that was aborted before, and null stands for none", async () => {
    await using server = await new TestServer().start();
    await using pool = new ConnectionPool(server.origin);
    const reason = new Error("given up");
    const signal = AbortSignal.abort(reason);
    expect(await rejection(pool.fetch(server.origin, { signal }))).toBe(reason);
    const request = new Request(server.origin, { signal });
    expect(await rejection(pool.fetch(request))).toBe(reason);
    expect(server.requests).toBe(0);
    expect(await text(pool.fetch(request, { signal: null }))).toBe("ok");
  });

  test("an abort while the body comes ends it with the reason", async () => {
    await using server = await new TestServer((_request, response) => {
      response.writeHead(200).write("first");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const controller = new AbortController();
    const response = await pool.fetch(server.origin, { signal: controller.signal });
    const read = rejection(response.text());
    controller.abort("enough");
    expect(await read).toBe("enough");
    await pool.drain();
    expect(pool.stats()).toMatchObject({ active: 0, aborted: 1 });
  });

  test("a status that Response does not take is an error, and frees the connection", async () => {
    await using server = await new TestServer((_request, response) => {
      response.writeHead(999).end();
    }).start();
    await using pool = new ConnectionPool(server.origin);
    expect(await rejection(pool.fetch(server.origin))).toBeInstanceOf(RangeError);
    await pool.drain();
    expect(pool.stats()).toMatchObject({ active: 0, failed: 1 });
  });

  test("early hints are not the response", async () => {
    await using server = await new TestServer((_request, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
      response.end("late");
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const response = await pool.fetch(server.origin);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("late");
  });
});

describe("what a caller does later", () => {
  test("memory that is used again does not change what is sent", async () => {
    await using server = await echoServer();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const scratch = new Uint8Array(5);
    const send = (value: string, view: boolean): Promise<Response> => {
      scratch.set(Buffer.from(value));
      const body = view ? scratch : scratch.buffer;
      return pool.fetch(server.origin, { method: "POST", body });
    };
    const sent = ["alice", "bobby", "carol"];
    for (const view of [true, false]) {
      const all = await Promise.all(sent.map((value) => send(value, view)));
      const echoes = await Promise.all(all.map((response) => response.json() as Promise<Echo>));
      expect(echoes.map(({ body }) => body)).toEqual(sent);
    }
  });

  test("an abort with a reason that is nothing at all", async () => {
    await using server = await new TestServer(() => undefined).start();
    await using pool = new ConnectionPool(server.origin);
    const aborter = new AbortController();
    const failed = pool.fetch(server.origin, { signal: aborter.signal }).catch((reason) => reason);
    await server.accepted(1);
    const reason: unknown = Object.create(null);
    aborter.abort(reason);
    expect(await failed).toBe(reason);
    expect(pool.stats()).toMatchObject({ active: 0, aborted: 1 });
  });
});
