import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connectHttp, type TestClient } from "./support/clients.ts";
import { startServer, type TestServer } from "./support/servers.ts";

/** Writes these bytes to whoever connects, then ends the connection. */
let answer: Buffer;
let upstream: Server;
let origin: string;
beforeAll(async () => {
  upstream = createServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  }).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});
afterAll(() => upstream.close());

const head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain";

describe.each(["on", "off"])("fetch_url with the pool %s", (pool) => {
  let server: TestServer;
  let client: TestClient;
  beforeEach(async () => {
    server = await startServer({ "features-pool": pool, "fetch-allow-private": "true" });
    client = await connectHttp("2026", server.url);
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  test.each([
    ["a body that is cut short", `${head}\r\ncontent-length: 100\r\n\r\nshort`],
    ["a connection that is closed without an answer", ""],
    ["what is not HTTP", "220 smtp.example ESMTP\r\n"],
    ["a status outside of HTTP", "HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n"],
    ["a bad chunk", `${head}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`],
    ["a bad header name", `${head}\r\nbad header: 1\r\n\r\n`],
    ["broken gzip", `${head}\r\ncontent-encoding: gzip\r\n\r\nnot gzip`],
    [
      "a switch to another protocol",
      "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxx",
    ],
  ])("%s is one clear error", async (_what, bytes) => {
    answer = Buffer.from(bytes);
    const { isError, content } = await client.call("fetch_url", { url: origin });
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(/^(UPSTREAM_FAILED|UPSTREAM_UNAVAILABLE): .*Try again later/);
  });

  test.each([
    ["gzip", gzipSync("hello"), "content-encoding: gzip"],
    ["a charset of its own", Buffer.from([0x68, 0xe9]), "x: y"],
  ])("a page in %s is read", async (what, body, header) => {
    const type = what === "gzip" ? "text/plain" : "text/plain; charset=iso-8859-1";
    answer = Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${header}\r\n\r\n`),
      body,
    ]);
    const { structuredContent } = await client.call("fetch_url", { url: origin });
    expect(structuredContent).toMatchObject({ text: what === "gzip" ? "hello" : "hé" });
  });

  test.each([
    ["http://127.0.0.1:0/", /^UPSTREAM_UNAVAILABLE: /],
    ["ftp://example.com/", /Expected an http: or https: URL/],
    ["http://nobody.invalid/", /^UPSTREAM_UNAVAILABLE: /],
  ])("%s is refused", async (url, message) => {
    const { isError, content } = await client.call("fetch_url", { url });
    expect(isError).toBe(true);
    expect(content[0]?.text).toMatch(message);
  });

  test("a redirect that leads nowhere has the same code", async () => {
    answer = Buffer.from("HTTP/1.1 302 Found\r\nlocation: ftp://x/\r\ncontent-length: 0\r\n\r\n");
    const { content } = await client.call("fetch_url", { url: origin });
    expect(content[0]?.text).toMatch(/^BAD_REDIRECT: /);
  });
});
