import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpHandler, McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ConnectionPool, PoolAgent, UpstreamGroup } from "../src/index.ts";
import type { PoolFetchInit } from "../src/index.ts";
import { mcpFetch } from "../src/mcp.ts";
import type { McpFetchOptions } from "../src/mcp.ts";
import { rejection } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const CALLS = 20;
const INFO = { name: "test", version: "1.0.0" };
const ADD = { inputSchema: { a: z.number(), b: z.number() } };

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A v1 server with sessions, as its documentation shows it. */
function handlerV1(): Handler {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  return async (request, response) => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (known !== undefined) return known.handleRequest(request, response);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (sessionId) => void sessions.set(sessionId, transport),
    });
    const server = new ServerV1(INFO);
    server.registerTool("add", ADD, ({ a, b }) => ({
      content: [{ type: "text", text: String(a + b) }],
    }));
    await server.connect(transport);
    return transport.handleRequest(request, response);
  };
}

async function startMcp(handler: Handler): Promise<TestServer> {
  return new TestServer((request, response) => void handler(request, response)).start();
}

describe("a client of the v1 SDK", () => {
  test("reuses its connections, and its event stream does not hold a slot", async () => {
    await using server = await startMcp(handlerV1());
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const url = new URL("/mcp", server.origin);
    const transport = new TransportV1(url, { fetch: mcpFetch(pool) });
    const client = new ClientV1(INFO);
    await client.connect(transport);
    for (let count = 0; count < CALLS; count += 1) {
      const result = await client.callTool({ name: "add", arguments: { a: count, b: 1 } });
      expect(result.content).toEqual([{ type: "text", text: String(count + 1) }]);
    }
    expect((await client.listTools()).tools).toHaveLength(1);
    // One connection for all requests, and one for the event stream.
    expect(server.sockets).toBe(2);
    const stats = pool.stats();
    expect(stats).toMatchObject({ created: 2, streams: 1, failed: 0, replays: 0 });
    expect(stats.requests).toBe(server.requests);
    expect(stats.requests - stats.reused).toBe(server.sockets);
    await transport.terminateSession();
    await client.close();
    expect(pool.stats()).toMatchObject({ active: 0, failed: 0 });
  });
});

describe("a client of the v2 SDK", () => {
  test.each(["legacy", "auto"] as const)("reuses its connections (%s)", async (mode) => {
    const mcp = createMcpHandler(() => {
      const server = new ServerV2(INFO);
      server.registerTool("add", { inputSchema: z.object(ADD.inputSchema) }, ({ a, b }) => ({
        content: [{ type: "text", text: String(a + b) }],
      }));
      return server;
    });
    const handle = toNodeHandler(mcp);
    await using server = await startMcp(async (request, response) => {
      await handle(request as Parameters<typeof handle>[0], response);
    });
    await using agent = new PoolAgent({ pool: { maxConnections: 1 } });
    const transport = new TransportV2(new URL("/mcp", server.origin), { fetch: mcpFetch(agent) });
    const client = new ClientV2(INFO, { versionNegotiation: { mode } });
    await client.connect(transport);
    for (let count = 0; count < CALLS; count += 1) {
      const result = await client.callTool({ name: "add", arguments: { a: count, b: 1 } });
      expect(result.content).toEqual([{ type: "text", text: String(count + 1) }]);
    }
    expect((await client.listTools()).tools).toHaveLength(1);
    const stats = agent.stats();
    expect(stats).toMatchObject({ failed: 0, replays: 0, created: server.sockets });
    expect(stats.requests).toBe(server.requests);
    expect(stats.requests - stats.reused).toBe(server.sockets);
    expect(server.sockets).toBeLessThanOrEqual(2);
    expect(stats.requests).toBeGreaterThan(CALLS);
    await client.close();
    await mcp.close();
  });

  test("a subscription does not hold a slot", async () => {
    const mcp = createMcpHandler(
      () => {
        const server = new ServerV2(INFO, { capabilities: { tools: { listChanged: true } } });
        server.registerTool("now", { inputSchema: z.object({}) }, () => ({ content: [] }));
        return server;
      },
      { legacy: "reject" },
    );
    const handle = toNodeHandler(mcp);
    await using server = await startMcp(async (request, response) => {
      await handle(request as Parameters<typeof handle>[0], response);
    });
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const transport = new TransportV2(new URL("/mcp", server.origin), { fetch: mcpFetch(pool) });
    const client = new ClientV2(INFO, { versionNegotiation: { mode: "auto" } });
    await client.connect(transport);
    const changed = new Promise<void>((resolve) =>
      client.setNotificationHandler("notifications/tools/list_changed", () => resolve()),
    );
    const subscription = await client.listen({ toolsListChanged: true });
    expect(pool.stats()).toMatchObject({ streams: 1, active: 0 });
    await client.callTool({ name: "now", arguments: {} });
    mcp.notify.toolsChanged();
    await changed;
    await subscription.close();
    await client.close();
    await mcp.close();
  });
});

/** Which bodies arrived; the second request of a connection is reset. */
async function staleMcp(): Promise<{ server: TestServer; seen: string[] }> {
  const seen: string[] = [];
  const used = new WeakSet<object>();
  const server = await new TestServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      seen.push(body);
      if (used.has(request.socket)) return request.socket.resetAndDestroy();
      used.add(request.socket);
      return response.setHeader("content-type", "application/json").end("{}");
    });
  }).start();
  return { server, seen };
}

function message(...methods: string[]): string {
  const messages = methods.map((method, id) => ({ jsonrpc: "2.0", id, method }));
  return JSON.stringify(messages.length === 1 ? messages[0] : messages);
}

async function send(
  body: string,
  options: McpFetchOptions = {},
): Promise<{ error?: string; times: number }> {
  const { server, seen } = await staleMcp();
  await using pool = new ConnectionPool(server.origin);
  const post = mcpFetch(pool, options);
  await (await pool.fetch(server.origin, { method: "POST", body: "first" })).text();
  const sent = post(server.origin, { method: "POST", body });
  const error = await sent.then(() => undefined).catch((reason: Error) => reason.name);
  await server.stop();
  const times = seen.filter((other) => other === body).length;
  return { ...(error !== undefined && { error }), times };
}

describe("what may be sent a second time", () => {
  test.each([
    [["ping"]],
    [["tools/list"]],
    [["resources/list"]],
    [["resources/templates/list"]],
    [["resources/read"]],
    [["prompts/list"]],
    [["prompts/get"]],
    [["server/discover"]],
    [["ping", "tools/list"]],
  ])("%j is", async (methods) => {
    expect(await send(message(...methods))).toEqual({ times: 2 });
  });

  test.each([
    ["a tool call", message("tools/call")],
    ["initialize", message("initialize")],
    ["a notification", message("notifications/initialized")],
    ["a batch with a tool call", message("tools/list", "tools/call")],
    ["a result", JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} })],
    ["a method that is no string", JSON.stringify({ jsonrpc: "2.0", id: 1, method: ["ping"] })],
    [
      "a tool call whose arguments look like a list",
      JSON.stringify({ method: "tools/call", params: { method: "tools/list" } }),
    ],
    ["an empty batch", "[]"],
    ["something that is not JSON", "tools/list"],
    ["null", "null"],
    ["a message that is very long", `${message("ping")}${" ".repeat(70_000)}`],
  ])("%s is not", async (_name, body) => {
    expect(await send(body)).toEqual({ times: 1, error: expect.any(String) });
  });
});

function callOf(name: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });
}

describe("calls of tools that may be repeated", () => {
  const error = expect.any(String) as string;

  test("are sent a second time, by name or by what a function says", async () => {
    expect(await send(callOf("read"), { replayableTools: ["read"] })).toEqual({ times: 2 });
    expect(await send(callOf("read"), { replayableTools: (name) => name === "read" })).toEqual({
      times: 2,
    });
    const both = `[${message("tools/list")},${callOf("read")}]`;
    expect(await send(both, { replayableTools: new Set(["read"]) })).toEqual({ times: 2 });
  });

  test("no other is", async () => {
    const tools = { replayableTools: ["read"] };
    for (const body of [
      callOf("write"),
      callOf(["read"]),
      callOf(undefined),
      message("tools/call"),
    ])
      expect(await send(body, tools)).toEqual({ times: 1, error });
    expect(await send(`[${callOf("read")},${callOf("write")}]`, tools)).toEqual({
      times: 1,
      error,
    });
    const careless = { replayableTools: () => "yes" as never };
    expect(await send(callOf("read"), careless)).toEqual({ times: 1, error });
    const everything = { replayableTools: () => true };
    expect(await send(message("notifications/initialized"), everything)).toEqual({
      times: 1,
      error,
    });
  });
});

async function startV1(count: number): Promise<TestServer[]> {
  return Promise.all(Array.from({ length: count }, () => startMcp(handlerV1())));
}

describe("a group of servers", () => {
  test("each session keeps to the server that began it, with its stream", async () => {
    const servers = await startV1(3);
    await using group = new UpstreamGroup(
      servers.map(({ origin }) => origin),
      { balance: "round-robin" },
    );
    const clients = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const url = new URL("/mcp", group.origin);
        const client = new ClientV1(INFO);
        await client.connect(new TransportV1(url, { fetch: mcpFetch(group) }));
        return client;
      }),
    );
    for (let round = 0; round < 5; round += 1)
      await Promise.all(
        clients.map(async (client) => {
          const result = await client.callTool({ name: "add", arguments: { a: round, b: 1 } });
          expect(result.content).toEqual([{ type: "text", text: String(round + 1) }]);
        }),
      );
    const stats = group.stats();
    expect(stats).toMatchObject({ sessions: 6, failed: 0, retries: 0, streams: 6 });
    // A server that does not know a session answers 404, which the client reports.
    for (const { streams, successes } of Object.values(stats.upstreams)) {
      expect(streams).toBe(2);
      expect(successes).toBeGreaterThan(10);
    }
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("a session that ends, or is not known, is forgotten", async () => {
    const servers = await startV1(2);
    await using group = new UpstreamGroup(servers.map(({ origin }) => origin));
    const url = new URL("/mcp", group.origin);
    const transport = new TransportV1(url, { fetch: mcpFetch(group) });
    const client = new ClientV1(INFO);
    await client.connect(transport);
    expect(group.stats().sessions).toBe(1);
    await transport.terminateSession();
    expect(group.stats().sessions).toBe(0);
    await client.close();
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("trace context reaches every upstream that is tried", async () => {
    const seen: (string | undefined)[] = [];
    const servers = await Promise.all(
      [503, 200].map((status) =>
        new TestServer((request, response) => {
          seen.push(request.headers["traceparent"] as string | undefined);
          request.resume();
          response.writeHead(status).end("{}");
        }).start(),
      ),
    );
    await using group = new UpstreamGroup(
      servers.map(({ origin }) => origin),
      { balance: "round-robin" },
    );
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const init = { method: "POST", body: message("tools/list"), headers: { traceparent } };
    expect((await mcpFetch(group)(group.origin, init)).status).toBe(200);
    expect(seen).toEqual([traceparent, traceparent]);
    await Promise.all(servers.map((server) => server.stop()));
  });
});

describe("time-outs and limits", () => {
  test("a call and other messages have time-outs of their own", async () => {
    await using server = await new TestServer(() => undefined).start();
    await using pool = new ConnectionPool(server.origin);
    const call = mcpFetch(pool, { callTimeoutMs: 20, requestTimeoutMs: 0 });
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call" });
    expect(await rejection(call(server.origin, { method: "POST", body }))).toMatchObject({
      code: "UND_ERR_HEADERS_TIMEOUT",
    });
    const other = mcpFetch(pool, { callTimeoutMs: 0, requestTimeoutMs: 20 });
    expect(await rejection(other(server.origin, { method: "DELETE" }))).toMatchObject({
      code: "UND_ERR_HEADERS_TIMEOUT",
    });
  });

  test("event streams are bounded by maxStreams", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-type", "text/event-stream").write(": hello\n\n");
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxStreams: 2 });
    const listen = mcpFetch(pool);
    const init = { headers: new Headers({ accept: "text/event-stream" }) };
    const streams = [await listen(server.origin, init), await listen(server.origin, init)];
    expect(await rejection(listen(server.origin, init))).toMatchObject({
      code: "HTTP_POOL_EXHAUSTED",
    });
    expect(pool.stats()).toMatchObject({ streams: 2, active: 0, rejected: 1 });
    for (const stream of streams) await stream.body?.cancel();
    await server.idle();
    expect(streams.every((stream) => stream instanceof Response)).toBe(true);
  });

  test("close ends streams, which would never end by themselves", async () => {
    await using server = await new TestServer((_request, response) => {
      response.setHeader("content-type", "text/event-stream").write(": hello\n\n");
    }).start();
    const pool = new ConnectionPool(server.origin);
    const init = { headers: { accept: "application/json, text/event-stream" } };
    const stream = await mcpFetch(pool)(server.origin, init);
    const opening = rejection(mcpFetch(pool)(server.origin, init));
    const read = rejection(stream.text());
    await pool.close();
    expect(await read).toMatchObject({ code: "HTTP_POOL_CLOSED" });
    expect(await opening).toMatchObject({ code: "HTTP_POOL_CLOSED" });
    expect(pool.stats()).toMatchObject({ open: 0, streams: 0 });
  });

  test("wrong options are refused", () => {
    const pool = new ConnectionPool("http://localhost");
    expect(() => mcpFetch(pool, { callTimeoutMs: -1 })).toThrow("callTimeoutMs");
    expect(() => mcpFetch(pool, { requestTimeoutMs: 0.5 })).toThrow("requestTimeoutMs");
    expect(() => mcpFetch(pool, { replayableTools: 1 as never })).toThrow("replayableTools");
  });
});

describe("what may be sent twice", () => {
  test("reads may be under way twice at once, replayable tools only be sent again", async () => {
    expect(await initOf("tools/list")).toMatchObject({ idempotent: true, safe: true });
    expect(await initOf("tools/call")).toMatchObject({ idempotent: false, safe: false });
    expect(await initOf("tools/call", ["tool"])).toMatchObject({ idempotent: true, safe: false });
    expect(await initOf("tools/call", () => true)).toMatchObject({ idempotent: true, safe: false });
  });

  test("a call that names no tool is not, whatever is said of tools", async () => {
    for (const params of [{}, { name: "" }, { name: 5 }]) {
      expect(await initOf("tools/call", saysYes, params)).toMatchObject({ idempotent: false });
      expect(await initOf("tools/call", [""], params)).toMatchObject({ idempotent: false });
    }
  });

  test("silence in a stream of events is bounded by the time-out of its message", async () => {
    const both = { callTimeoutMs: 5000, requestTimeoutMs: 70 };
    expect(await silenceOf("tools/call", both)).toBe(5000);
    expect(await silenceOf("tools/list", both)).toBe(70);
    expect(await silenceOf("tools/list", { callTimeoutMs: 5000 })).toBe(5000);
    expect(await silenceOf("tools/list", {})).toBe(300_000);
  });

  test("a function of replayable tools that throws says no", async () => {
    expect(await initOf("tools/call", saysNo)).toMatchObject({ idempotent: false });
  });
});

async function silenceOf(method: string, options: McpFetchOptions): Promise<unknown> {
  return (await initOf(method, undefined, {}, options)).eventTimeoutMs;
}

function saysYes(): boolean {
  return true;
}

function saysNo(): never {
  throw new Error("from the caller");
}

async function initOf(
  method: string,
  replayableTools?: McpFetchOptions["replayableTools"],
  params: object = { name: "tool" },
  options: McpFetchOptions = {},
): Promise<PoolFetchInit> {
  const inits: PoolFetchInit[] = [];
  const pool = {
    fetch: async (_input: unknown, init: PoolFetchInit) => {
      inits.push(init);
      return new Response();
    },
  };
  const fetch = mcpFetch(pool as unknown as ConnectionPool, {
    ...options,
    ...(replayableTools && { replayableTools }),
  });
  const call = { jsonrpc: "2.0", id: 1, method, params };
  await fetch("http://x.test/mcp", { method: "POST", body: JSON.stringify(call) });
  return inits[0] ?? {};
}
