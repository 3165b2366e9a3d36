import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listen, type Listener } from "../src/http/listen.ts";
import { readJson } from "../src/http/read-body.ts";
import { Sessions2025 } from "../src/v2025/sessions.ts";

const IDLE_MS = 60_000;

let now: number;
let sessions: Sessions2025;
let listener: Listener;
let toolStarted: PromiseWithResolvers<void>;
let toolMayEnd: PromiseWithResolvers<void>;
beforeEach(async () => {
  now = 0;
  toolStarted = Promise.withResolvers();
  toolMayEnd = Promise.withResolvers();
  sessions = new Sessions2025({
    maxSessions: 10,
    sessionIdleMs: IDLE_MS,
    replayBytes: 0,
    now: () => now,
    reportError: () => {},
    createServer,
  });
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    requestTimeoutMs: 5_000,
    handle: async (request, response) => {
      const body = request.method === "POST" ? await readJson(request, 100_000) : undefined;
      await sessions.handle(request, response, body);
    },
  });
});
afterEach(async () => {
  await sessions[Symbol.asyncDispose]();
  await listener[Symbol.asyncDispose]();
});

/** Has one tool, which ends when the test lets it. */
function createServer(): McpServer {
  const server = new McpServer({ name: "test", version: "0" });
  server.registerTool("wait", {}, async () => {
    toolStarted.resolve();
    await toolMayEnd.promise;
    return { content: [] };
  });
  return server;
}

const common = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

async function post(message: object, headers: Record<string, string> = {}): Promise<Response> {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  return fetch(listener.url, { method: "POST", headers: { ...common, ...headers }, body });
}

/** Starts a session whose response has been read to its end. */
async function start(): Promise<Record<string, string>> {
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "t", version: "0" },
  };
  const response = await post({ id: 1, method: "initialize", params });
  await response.text();
  await post({ method: "notifications/initialized" }, { "mcp-session-id": idOf(response) });
  return { "mcp-session-id": idOf(response), "mcp-protocol-version": "2025-11-25" };
}

function idOf(response: Response): string {
  return response.headers.get("mcp-session-id") ?? "";
}

describe("a session of the 2025 protocols", () => {
  test("is closed when it was idle for too long, and its client is told to start another", async () => {
    const session = await start();
    now += IDLE_MS - 1;
    sessions.closeIdle();
    expect(sessions.size).toBe(1);
    now += 1;
    sessions.closeIdle();
    await expect.poll(() => sessions.size).toBe(0);
    const response = await post({ id: 2, method: "ping" }, session);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain("Send initialize to start another");
  });

  test("is kept by every request", async () => {
    const session = await start();
    for (let round = 0; round < 5; round += 1) {
      now += IDLE_MS - 1;
      sessions.closeIdle();
      expect((await post({ id: round, method: "ping" }, session)).status).toBe(200);
    }
  });

  test("is not closed while a request is under way, however long that takes", async () => {
    const session = await start();
    const calling = post({ id: 2, method: "tools/call", params: { name: "wait" } }, session);
    await toolStarted.promise;
    for (let hour = 0; hour < 24; hour += 1) {
      now += 3_600_000;
      sessions.closeIdle();
    }
    expect(sessions.size).toBe(1);
    toolMayEnd.resolve();
    expect(await (await calling).text()).toContain('"content":[]');
  });

  test("is not closed while its client listens for notifications, and is idle from the end of that", async () => {
    const session = await start();
    const leave = new AbortController();
    await fetch(listener.url, {
      headers: { ...session, accept: "text/event-stream" },
      signal: leave.signal,
    });
    now += 10 * IDLE_MS;
    sessions.closeIdle();
    expect(sessions.size).toBe(1);
    leave.abort();
    await expect
      .poll(() => {
        now += IDLE_MS;
        sessions.closeIdle();
        return sessions.size;
      })
      .toBe(0);
  });

  test("answers a cancelled request with an error, so that its stream ends", async () => {
    const session = await start();
    const calling = post({ id: 2, method: "tools/call", params: { name: "wait" } }, session);
    await toolStarted.promise;
    const cancelled = { requestId: 2, reason: "enough" };
    await post({ method: "notifications/cancelled", params: cancelled }, session);
    expect(await (await calling).text()).toMatch(/"id":2.*"code":-32800/);
    now += IDLE_MS;
    await expect
      .poll(() => {
        sessions.closeIdle();
        return sessions.size;
      })
      .toBe(0);
  });

  test("answers a request under way when the server stops", async () => {
    const session = await start();
    const calling = post({ id: 2, method: "tools/call", params: { name: "wait" } }, session);
    await toolStarted.promise;
    await sessions[Symbol.asyncDispose]();
    expect(await (await calling).text()).toMatch(/"id":2.*The server is stopping/);
  });

  test("refuses an id that is in use, and takes it again after its answer", async () => {
    const session = await start();
    const wait = { id: 2, method: "tools/call", params: { name: "wait" } };
    const calling = post(wait, session);
    await toolStarted.promise;
    const second = await post({ id: 2, method: "ping" }, session);
    expect(second.status).toBe(400);
    expect(await second.text()).toMatch(/the id 2 belongs to a request that is still under way/);
    const twice = [3, 3].map((id) => ({ jsonrpc: "2.0", id, method: "ping" }));
    const batch = await fetch(listener.url, {
      method: "POST",
      headers: { ...common, ...session },
      body: JSON.stringify(twice),
    });
    expect(batch.status).toBe(400);
    toolMayEnd.resolve();
    await (await calling).text();
    expect((await post({ id: 2, method: "ping" }, session)).status).toBe(200);
  });

  test("is not started by a refused initialize", async () => {
    const response = await post({ id: 1, method: "initialize", params: {} });
    expect(response.status).toBe(400);
    expect(sessions.size).toBe(0);
  });
});
