import type { RequestListener } from "node:http";
import { expect, test } from "vitest";
import { ConnectionPool, PoolAgent, publicAddressesOnly } from "../src/index.ts";
import { FakeTime } from "./helpers/fake-time.ts";
import { rejection, text } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

/** `/303?to=/x` redirects with that status; everything else says what it was asked. */
const redirecting: RequestListener = (request, response) => {
  const url = new URL(request.url ?? "", "http://localhost");
  const target = url.searchParams.get("to");
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    if (target !== null)
      response.writeHead(Number(url.pathname.slice(1)), { location: target }).end("moved");
    else
      response.end(
        JSON.stringify({
          method: request.method,
          url: request.url,
          headers: request.headers,
          body,
        }),
      );
  });
};

const loop: RequestListener = (request, response) => {
  const locations: Record<string, string> = {
    "/loop": "/loop",
    "/file": "file:///etc/passwd",
    "/user": "http://user:secret@localhost/",
    "/password": "http://:secret@localhost/",
    "/bad": "http://[",
  };
  request.resume().on("end", () => {
    response.writeHead(307, { location: locations[request.url ?? ""] }).end();
  });
};

test("redirects within the origin use the same connection", async () => {
  await using server = await new TestServer(redirecting).start();
  await using pool = new ConnectionPool(server.origin);
  const response = await pool.fetch(`${server.origin}/302?to=/301%3Fto=/end`);
  expect(response).toMatchObject({ redirected: true, url: `${server.origin}/end` });
  expect(await response.json()).toMatchObject({ url: "/end" });
  expect(server).toMatchObject({ sockets: 1, requests: 3 });
});

test.each([
  [301, "GET", ""],
  [302, "GET", ""],
  [303, "GET", ""],
  [307, "POST", "payload"],
  [308, "POST", "payload"],
])("after %i a POST becomes %s", async (status, method, body) => {
  await using server = await new TestServer(redirecting).start();
  await using agent = new PoolAgent();
  const init = { method: "POST", body: "payload", headers: { "content-type": "text/x" } };
  const response = await agent.fetch(`${server.origin}/${status}?to=/end`, init);
  const echoed = (await response.json()) as { headers: Record<string, string> };
  expect(echoed).toMatchObject({ method, body });
  expect(echoed.headers["content-type"]).toBe(method === "GET" ? undefined : "text/x");
});

test("after 303 a HEAD stays one", async () => {
  const methods: unknown[] = [];
  await using server = await new TestServer((request, response) => {
    methods.push(request.method);
    if (request.url === "/end") response.end();
    else response.writeHead(303, { location: "/end" }).end();
  }).start();
  await using pool = new ConnectionPool(server.origin);
  expect((await pool.fetch(server.origin, { method: "HEAD" })).status).toBe(200);
  expect(methods).toEqual(["HEAD", "HEAD"]);
});

test("credentials do not follow to another origin, and do within it", async () => {
  await using first = await new TestServer(redirecting).start();
  await using second = await new TestServer(redirecting).start();
  await using agent = new PoolAgent();
  const headers = {
    accept: "text/plain",
    authorization: "Bearer x",
    cookie: "a=1",
    "mcp-session-id": "one",
    "proxy-authorization": "Basic x",
    "x-api-key": "1",
    "x-other": "1",
  };
  const away = encodeURIComponent(`${second.origin}/end`);
  const far = await agent.fetch(`${first.origin}/302?to=${away}`, { headers });
  const farHeaders = ((await far.json()) as { headers: object }).headers;
  expect(farHeaders).toMatchObject({ accept: "text/plain", "user-agent": "mcp-accel-http-pool" });
  // Whatever is not known to be public may be a credential.
  for (const name of Object.keys(headers).filter((key) => key !== "accept"))
    expect(farHeaders).not.toHaveProperty(name);
  const near = await agent.fetch(`${first.origin}/302?to=/end`, { headers });
  expect(await near.json()).toMatchObject({ headers });
});

test("a pool of one origin does not follow to another", async () => {
  await using server = await new TestServer(redirecting).start();
  await using pool = new ConnectionPool(server.origin);
  const url = `${server.origin}/302?to=http://localhost:1/`;
  expect(await rejection(pool.fetch(url))).toMatchObject({ code: "HTTP_POOL_REDIRECT" });
});

test("manual gives the redirect itself, error refuses it", async () => {
  await using server = await new TestServer(redirecting).start();
  await using pool = new ConnectionPool(server.origin);
  const url = `${server.origin}/302?to=/end`;
  const manual = await pool.fetch(url, { redirect: "manual" });
  expect(manual).toMatchObject({ status: 302, redirected: false });
  expect(await manual.text()).toBe("moved");
  expect(await rejection(pool.fetch(url, { redirect: "error" }))).toMatchObject({
    code: "HTTP_POOL_REDIRECT",
  });
  expect(server.sockets).toBe(1);
});

test("too many redirects, a wrong target, and a body that cannot be sent again are errors", async () => {
  await using server = await new TestServer(loop).start();
  await using agent = new PoolAgent({ maxRedirects: 2 });
  for (const path of ["/loop", "/file", "/user", "/password", "/bad"]) {
    const error = await rejection(agent.fetch(server.origin + path));
    expect(error).toMatchObject({ code: "HTTP_POOL_REDIRECT", upstream: server.origin });
    expect(error.message).not.toContain("secret");
  }
  const init = { method: "POST", body: new Blob(["x"]).stream() };
  expect(await rejection(agent.fetch(`${server.origin}/loop`, init))).toMatchObject({
    code: "HTTP_POOL_REDIRECT",
  });
  expect(server.requests).toBe(3 + 4 + 1);
});

test("the body of a redirect does not hold the connection that the next request needs", async () => {
  await using server = await new TestServer((request, response) => {
    if (request.url === "/end") response.end("ok");
    else response.writeHead(302, { location: "/end" }).end(Buffer.alloc(1_000_000));
  }).start();
  const time = new FakeTime();
  const { now, schedule } = time;
  await using pool = new ConnectionPool(server.origin, { maxConnections: 1, now, schedule });
  expect(await text(pool.fetch(server.origin))).toBe("ok");
});

test("a redirect without a location is an answer", async () => {
  await using server = await new TestServer((_request, response) => {
    response.writeHead(302).end("nowhere");
  }).start();
  await using pool = new ConnectionPool(server.origin);
  expect(await text(pool.fetch(server.origin))).toBe("nowhere");
});

test("the guard is asked for every hop of a redirect", async () => {
  await using inner = await new TestServer().start();
  await using outer = await new TestServer((_request, response) => {
    response.writeHead(302, { location: inner.origin.replace("127.0.0.1", "127.0.0.2") }).end();
  }).start();
  await using agent = new PoolAgent({ allowAddress: (address) => address !== "127.0.0.2" });
  expect(await rejection(agent.fetch(outer.origin))).toMatchObject({
    code: "HTTP_POOL_ADDRESS_NOT_ALLOWED",
  });
  expect(outer.requests).toBe(1);
  expect(inner.sockets).toBe(0);
  await using strict = new PoolAgent({ pool: { allowAddress: publicAddressesOnly } });
  expect(await rejection(strict.fetch(outer.origin))).toMatchObject({
    code: "HTTP_POOL_ADDRESS_NOT_ALLOWED",
  });
});
