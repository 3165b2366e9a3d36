import { once } from "node:events";
import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { Metrics, guardEndpoint, listen } from "../src/index.ts";
import type {
  EndpointGuardOptions,
  EndpointHandler,
  GuardRequest,
  ScrapeHandlerOptions,
} from "../src/index.ts";
import { dashboard } from "../src/dashboard.ts";
import { scrapeHandler } from "../src/handler.ts";
import { ask, raw } from "./dashboard-requests.ts";

const TOKEN = "correct-horse-battery";

async function serve(
  guard: EndpointGuardOptions | false = {},
  more: ScrapeHandlerOptions = {},
): Promise<number> {
  const metrics = new Metrics({ runtime: false });
  const listener = await listen({ "/metrics": metrics.handler({ ...more, guard }) });
  onTestFinished(async () => {
    metrics.close();
    await listener.close();
  });
  return listener.port;
}

const lines = (...headers: readonly string[]) =>
  `${headers.join("\r\n")}\r\nConnection: close\r\n\r\n`;

describe("endpoint guard: hostile requests", () => {
  test.each([
    ["another Host", "GET /metrics HTTP/1.1", "Host: evil.example", 403],
    ["a Host that begins like ours", "GET /metrics HTTP/1.1", "Host: localhost.evil.example", 403],
    ["a Host behind credentials", "GET /metrics HTTP/1.1", "Host: localhost@evil.example", 403],
    ["an empty Host", "GET /metrics HTTP/1.1", "Host:", 403],
    ["no Host, in HTTP/1.0", "GET /metrics HTTP/1.0", "Accept: */*", 403],
    ["no Host, in HTTP/1.1", "GET /metrics HTTP/1.1", "Accept: */*", 400],
    ["two Hosts", "GET /metrics HTTP/1.1", "Host: localhost\r\nHost: localhost", 403],
    [
      "a foreign Origin",
      "GET /metrics HTTP/1.1",
      "Host: localhost\r\nOrigin: http://evil.example",
      403,
    ],
    ["the Origin of a sandbox", "GET /metrics HTTP/1.1", "Host: localhost\r\nOrigin: null", 403],
    [
      "the Origin of another port",
      "GET /metrics HTTP/1.1",
      "Host: localhost:1\r\nOrigin: http://localhost:2",
      403,
    ],
    [
      "a page of another site",
      "GET /metrics HTTP/1.1",
      "Host: localhost\r\nSec-Fetch-Site: cross-site",
      403,
    ],
    [
      "a page of another port",
      "GET /metrics HTTP/1.1",
      "Host: localhost\r\nSec-Fetch-Site: same-site",
      403,
    ],
    ["a token in the query", `GET /metrics?token=${TOKEN} HTTP/1.1`, "Host: localhost", 400],
    ["an encoded token parameter", "GET /metrics?%74oken=x HTTP/1.1", "Host: localhost", 400],
  ])("%s is refused", async (_what, line, headers, status) => {
    const answer = await raw(await serve(), lines(line, headers));
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.toLowerCase()).not.toContain("access-control-");
    expect(answer).not.toContain(TOKEN);
  });

  test.each(["http://evil.example/metrics", "//evil.example/metrics", "*"])(
    "the target %s is not a path of ours",
    async (target) => {
      const answer = await raw(await serve(), lines(`GET ${target} HTTP/1.1`, "Host: localhost"));
      expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
      const refusal = guardEndpoint().refuse({ url: target, headers: { host: "localhost" } });
      expect(refusal?.reason).toBe("target");
    },
  );

  test.each(["localhost", "LOCALHOST:80", "127.0.0.1:9464", "[::1]:9464", "localhost."])(
    "requests for %s are served",
    async (host) => {
      expect((await ask(await serve(), "/metrics", { headers: { host } })).status).toBe(200);
    },
  );

  test("the own Origin and the allowed ones are served, without CORS headers", async () => {
    const port = await serve({ allowedOrigins: ["https://ops.example"] });
    const own = { host: `localhost:${port}`, origin: `http://localhost:${port}` };
    expect((await ask(port, "/metrics", { headers: own })).status).toBe(200);
    const other = {
      host: "localhost",
      origin: "https://ops.example",
      "sec-fetch-site": "cross-site",
    };
    const answer = await ask(port, "/metrics", { headers: other });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual(
      [],
    );
  });

  test.each([
    undefined,
    "Bearer",
    "Bearer wrong",
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN} ${TOKEN}`,
  ])("the authorization %s is no token", async (authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await ask(await serve({ token: TOKEN }), "/metrics", { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toMatch(/^Bearer /);
    expect(answer.body).not.toContain(TOKEN);
  });

  test("the token lets in, after all other checks", async () => {
    const port = await serve({ token: TOKEN });
    const authorization = `Bearer ${TOKEN}`;
    expect((await ask(port, "/metrics", { headers: { authorization } })).status).toBe(200);
    const headers = { authorization, host: "evil.example" };
    expect((await ask(port, "/metrics", { headers })).status).toBe(403);
  });

  test("without the guard everybody is served", async () => {
    const port = await serve(false);
    expect((await ask(port, "/metrics", { headers: { host: "evil.example" } })).status).toBe(200);
  });

  test.each([
    [{ token: "short" }, "guard.token"],
    [{ token: "with spaces in the middle" }, "guard.token"],
    [{ allowedHosts: "localhost" }, "guard.allowedHosts"],
    [{ allowedOrigins: [1] }, "guard.allowedOrigins"],
  ])("the options %j are refused", (options, option) => {
    const make = () => guardEndpoint(options as never);
    expect(make).toThrow(expect.objectContaining({ code: "METRICS_INVALID_OPTION", option }));
  });

  test("a bad token is not repeated by the error", () => {
    expect(() => guardEndpoint({ token: "hush hush hush hush" })).not.toThrow(/hush/);
  });
});

describe("endpoint guard: following a link", () => {
  const link = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
  };

  test("opens a page without data and nothing else", () => {
    const guard = guardEndpoint();
    expect(guard.refusePage(request(link))).toBeUndefined();
    expect(guard.refuse(request(link))?.reason).toBe("cross_site");
    expect(guard.refusePage(request({ ...link, "sec-fetch-dest": "iframe" }))?.reason).toBe(
      "cross_site",
    );
    expect(guard.refusePage(request(link, "POST"))?.reason).toBe("cross_site");
  });
});

describe("endpoint listener", () => {
  test.each(["0.0.0.0", "::", "10.1.2.3", "example.com"])(
    "%s without a token is refused",
    async (host) => {
      using metrics = new Metrics({ runtime: false });
      const error = expect.objectContaining({ code: "METRICS_UNSAFE_BIND" });
      await expect(listen({ "/metrics": metrics.handler() }, { host })).rejects.toThrow(
        error as Error,
      );
      const mixed = {
        "/a": metrics.handler({ guard: { token: TOKEN } }),
        "/b": metrics.handler({ guard: false }),
      };
      await expect(listen(mixed, { host })).rejects.toThrow(/\/b asks for no token/);
    },
  );

  test("all addresses are allowed with a token, and loopback without", async () => {
    using metrics = new Metrics({ runtime: false });
    await using open = await listen(
      { "/metrics": metrics.handler({ guard: { token: TOKEN } }) },
      { host: "0.0.0.0" },
    );
    expect((await ask(open.port, "/metrics")).status).toBe(401);
    await using own = await listen({ "/metrics": metrics.handler() });
    expect(own.url).toBe(`http://127.0.0.1:${own.port}`);
    expect((await ask(own.port, "/metricsx")).status).toBe(404);
    expect((await ask(own.port, "/metrics")).status).toBe(200);
  });

  test("headers that are too large are refused and the limits for slow requests are set", async () => {
    using metrics = new Metrics({ runtime: false });
    await using listener = await listen({ "/metrics": metrics.handler() }, { maxConnections: 3 });
    const { server, port } = listener;
    const flood = `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
    expect(await raw(port, flood)).toMatch(/^HTTP\/1\.1 431 /);
    expect(server.headersTimeout).toBeLessThanOrEqual(5_000);
    expect(server.requestTimeout).toBeLessThanOrEqual(10_000);
    expect(server.maxConnections).toBe(3);
  });
});

describe("scrapes at once", () => {
  test("2,000 share one exposition, and beyond the limit get 503", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let written = 0;
    const exposition = async () => {
      written += 1;
      await promise;
      return { contentType: "text/plain", body: "up 1\n" };
    };
    const handler = scrapeHandler(exposition, () => false, { maxConcurrent: 20 });
    const { promise: reachedAll, resolve: reachedLast } = Promise.withResolvers<void>();
    let reached = 0;
    const counted: EndpointHandler = Object.assign(
      (incoming: IncomingMessage, response: ServerResponse) => {
        handler(incoming, response);
        reached += 1;
        if (reached === 2_000) reachedLast();
      },
      { hasToken: false },
    );
    await using listener = await listen({ "/": counted }, { maxConnections: 2_500 });
    const asked = Array.from({ length: 2_000 }, async () => (await ask(listener.port, "/")).status);
    await reachedAll;
    resolve();
    const statuses = await Promise.all(asked);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.filter((status) => status === 503)).toHaveLength(1_980);
    expect(written).toBe(1);
    expect((await ask(listener.port, "/")).status).toBe(200);
  });
});

describe("slow clients", () => {
  test("a scraper that does not read is cut off and gives its place back", async () => {
    const body = "x".repeat(32_000_000);
    const exposition = async () => ({ contentType: "text/plain", body });
    const handler = scrapeHandler(exposition, () => false, {
      maxConcurrent: 1,
      readTimeoutMs: 200,
    });
    await using listener = await listen({ "/": handler });
    const slow = connect(listener.port, "127.0.0.1");
    slow.on("error", () => undefined);
    slow.pause();
    const served = once(listener.server, "request");
    slow.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const [, response] = (await served) as [unknown, EventEmitter];
    expect((await ask(listener.port, "/", { method: "HEAD" })).status).toBe(503);
    await once(response, "close");
    expect((await ask(listener.port, "/", { method: "HEAD" })).status).toBe(200);
    slow.destroy();
  });

  test("headers that never end are given up by the listener", async () => {
    using metrics = new Metrics({ runtime: false });
    await using listener = await listen({ "/": metrics.handler() });
    expect(await raw(listener.port, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: a")).toMatch(
      /^HTTP\/1\.1 408 /,
    );
  });

  test("an action whose body never ends does not run", async () => {
    using metrics = new Metrics({ runtime: false });
    let ran = false;
    const run = () => (ran = true);
    const actions = [{ name: "go", label: "Go", run }];
    using board = dashboard(metrics, { actions, actionToken: TOKEN });
    await using listener = await listen({ "/": board.handler });
    const head = `Host: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json`;
    const answer = await raw(
      listener.port,
      `POST /api/actions/go HTTP/1.1\r\n${head}\r\nContent-Length: 100\r\n\r\n{`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 (408|413) /);
    expect(ran).toBe(false);
  });
});

function request(headers: object, method = "GET"): GuardRequest {
  return { url: "/", method, headers: { host: "localhost", ...headers } };
}
