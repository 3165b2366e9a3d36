import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { StreamGuard } from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { answerAdmission, SessionMap } from "@mcp-accel/stream-guard/mcp";
import type { SessionMapOptions } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { call, sdkOf } from "./mcp-clients.ts";
import { INITIALIZE, Site, until } from "./mcp-http.ts";

const IDLE_MS = 300_000;

afterEach(() => {
  vi.useRealTimers();
});

describe.each(["v1", "v2"] as const)("SessionMap with SDK %s", (version) => {
  const sdk = sdkOf(version);
  type Transport = ReturnType<typeof sdk.transport>;

  async function served(
    guardOptions: StreamGuardOptions = {},
    options: Partial<SessionMapOptions<Transport>> = {},
    parse = false,
  ) {
    const time = new FakeTime();
    const { now, schedule } = time;
    const guard = new StreamGuard({ now, schedule, sweepIntervalMs: 1000, ...guardOptions });
    const servers: ReturnType<typeof sdk.server>[] = [];
    const errors: unknown[] = [];
    const sessions = new SessionMap<Transport>(guard, {
      transport: (given) => sdk.transport(given),
      connect: async (transport) => {
        const server = sdk.server();
        servers.push(server);
        await server.connect(transport);
      },
      onerror: (error) => errors.push(error),
      schedule,
      ...options,
    });
    const site = await Site.listen(async (request, response) => {
      const body = parse ? await parsed(request) : undefined;
      await sessions.handleRequest(request, response, body);
    });
    const initialize = async (headers: Record<string, string> = {}) => {
      const response = await site.post(INITIALIZE, headers);
      await response.text();
      return { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
    };
    const close = async (): Promise<void> => {
      await sessions.close();
      await site[Symbol.asyncDispose]();
    };
    return {
      guard,
      time,
      servers,
      errors,
      sessions,
      site,
      initialize,
      [Symbol.asyncDispose]: close,
    };
  }

  test("a client whose session was idle hears 404 and gets a new session when it begins anew", async () => {
    await using world = await served();
    const { guard, time, sessions, site } = world;
    const connection = sdk.connection(site.url);
    const client = sdk.client();
    await client.connect(connection);
    const first = connection.sessionId;
    const answer = await client.callTool({ name: "echo", arguments: { size: 2 } });
    expect(answer.content).toEqual([{ type: "text", text: "xx" }]);
    expect(sessions.size).toBe(1);
    await until(() => guard.sessions()[0]?.operations === 0);

    time.advance(IDLE_MS + 1000);
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { idle: 1 } });
    expect(sessions.size).toBe(0);
    const late = client.callTool({ name: "echo", arguments: { size: 2 } });
    await expect(late).rejects.toThrow(/Session not found/);
    await client.close();

    const again = sdk.connection(site.url);
    const renewed = sdk.client();
    await renewed.connect(again);
    expect(again.sessionId).not.toBe(first);
    await renewed.callTool({ name: "echo", arguments: { size: 2 } });
    await renewed.close();
  });

  test("a request in progress keeps its session while its client is there", async () => {
    await using world = await served();
    const { guard, time, servers, site, initialize } = world;
    const headers = await initialize();
    const gate = Promise.withResolvers<void>();
    servers[0]?.registerTool("slow", { inputSchema: z.object({}) }, async () => {
      await gate.promise;
      return { content: [] };
    });
    const answer = site.post(call(2, "slow", {}), headers).then((response) => response.text());
    await until(() => guard.sessions()[0]?.operations === 1);
    time.advance(20 * IDLE_MS);
    expect(guard.stats().sessions).toBe(1);
    gate.resolve();
    expect(await answer).toContain('"id":2');
    await until(() => guard.sessions()[0]?.operations === 0);
    time.advance(IDLE_MS + 1000);
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { idle: 1 } });
  });

  test("a request nobody answers does not keep the session of a client that has gone", async () => {
    await using world = await served();
    const { guard, time, servers, site, initialize } = world;
    const headers = await initialize();
    const started = Promise.withResolvers<void>();
    servers[0]?.registerTool("stuck", { inputSchema: z.object({}) }, () => {
      started.resolve();
      return new Promise(() => {});
    });
    const body = JSON.stringify(call(2, "stuck", {}));
    const socket = await site.sendAndNeverRead("POST", headers, body);
    await started.promise;
    time.advance(2 * IDLE_MS);
    expect(guard.stats().sessions).toBe(1);
    socket.destroy();
    await until(() => guard.sessions()[0]?.operations === 0);
    time.advance(IDLE_MS - 2000);
    expect(guard.stats().sessions).toBe(1);
    time.advance(3000);
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { idle: 1 } });
  });

  test("an open stream keeps its session by its keep-alive, and only by that", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    await using world = await served();
    const { guard, time, site, initialize } = world;
    const headers = await initialize();
    const stream = await fetch(site.url, { headers: { ...headers, accept: "text/event-stream" } });
    const reader = stream.body?.getReader();
    for (let round = 0; round < 4; round += 1) {
      vi.advanceTimersByTime(15_000);
      const { value } = (await reader?.read()) ?? {};
      expect(new TextDecoder().decode(value as Uint8Array)).toContain("keepalive");
      await until(() => guard.stats().usedBytes === 0);
      time.advance(IDLE_MS - 2000);
      expect(guard.stats().sessions).toBe(1);
    }
    time.advance(3000);
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { idle: 1 } });
    expect(await reader?.read()).toMatchObject({ done: true });
  });

  test("DELETE ends the session, and its id is unknown from then on", async () => {
    await using world = await served();
    const { guard, sessions, site, initialize } = world;
    const headers = await initialize();
    expect((await fetch(site.url, { method: "DELETE", headers })).status).toBe(200);
    await until(() => guard.stats().sessions === 0);
    expect(sessions.size).toBe(0);
    const response = await site.post(call(2, "echo", { size: 1 }), headers);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      jsonrpc: "2.0",
      error: { code: -32_001, message: "Session not found" },
      id: null,
    });
  });

  test("a session too many is refused with 503, Retry-After and an error that says why; the others go on", async () => {
    await using world = await served({ maxSessions: 2, retryAfterMs: 1500 });
    const { guard, site, initialize } = world;
    const first = await initialize();
    const second = await initialize();
    const refused = await site.post(INITIALIZE);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(await refused.json()).toMatchObject({
      jsonrpc: "2.0",
      id: null,
      error: {
        code: -32_000,
        message: expect.stringContaining("2 sessions are open") as string,
        data: { code: "STREAM_GUARD_ADMISSION", reason: "sessions", retryAfterMs: 1500 },
      },
    });
    await expect(sdk.client().connect(sdk.connection(site.url))).rejects.toThrow(
      /503|sessions are/,
    );
    const answer = await site.post(call(2, "echo", { size: 3 }), first);
    expect(await answer.text()).toContain("xxx");
    await fetch(site.url, { method: "DELETE", headers: second });
    await until(() => guard.stats().sessions === 1);
    expect((await initialize())["mcp-session-id"]).not.toBe("");
  });

  test("sessions are bounded for each principal, and serve nobody else", async () => {
    await using world = await served(
      { maxSessionsPerPrincipal: 1 },
      { principal: ({ headers }) => headers["x-user"] as string | undefined },
    );
    const { site, initialize } = world;
    const ann = { "x-user": "ann" };
    const bob = { "x-user": "bob" };
    const session = await initialize(ann);
    const refused = await site.post(INITIALIZE, ann);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { data: { reason: "principal" } } });
    expect((await initialize(bob))["mcp-session-id"]).not.toBe("");
    const echo = call(2, "echo", { size: 3 });
    expect((await site.post(echo, { ...session, ...bob })).status).toBe(404);
    expect((await site.post(echo, session)).status).toBe(404);
    expect((await site.post(echo, { ...session, ...ann })).status).toBe(200);
  });

  test.each([true, false])(
    "what initializes no session leaves none behind (parsed before: %s)",
    async (parse) => {
      await using world = await served({}, {}, parse);
      const { guard, sessions, site } = world;
      expect((await site.post(call(1, "echo", { size: 1 }))).status).toBe(400);
      expect((await fetch(site.url, { headers: { accept: "text/event-stream" } })).status).toBe(
        400,
      );
      expect((await fetch(site.url, { method: "DELETE" })).status).toBe(400);
      const put = await fetch(site.url, { method: "PUT" });
      expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, POST, DELETE"]);
      const wrongType = { method: "POST", body: "{", headers: { "content-type": "text/plain" } };
      expect((await fetch(site.url, wrongType)).status).toBe(parse ? 400 : 406);
      await until(() => guard.stats().sessions === 0);
      expect(sessions.size).toBe(0);
      expect(guard.stats().usedBytes).toBe(0);
    },
  );

  test("a client that never sends its initialize request is cut off in time", async () => {
    await using world = await served({}, { initializeTimeoutMs: 5000 });
    const { guard, time, sessions, site } = world;
    const socket = connect(Number(new URL(site.url).port), "127.0.0.1").resume();
    socket.on("error", () => {});
    const types =
      "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";
    socket.write(`POST /mcp HTTP/1.1\r\nhost: test\r\n${types}content-length: 100\r\n\r\n{`);
    const closed = new Promise((resolve) => {
      socket.once("close", resolve);
    });
    await until(() => guard.stats().sessions === 1);
    time.advance(4999);
    expect(sessions.size).toBe(1);
    time.advance(1);
    await closed;
    await until(() => guard.stats().sessions === 0);
    expect(sessions.size).toBe(0);
    expect(time.pending).toBeLessThanOrEqual(1);
  });

  test("a client that goes before it learns its session's id leaves none behind", async () => {
    const gate = Promise.withResolvers<void>();
    await using world = await served(
      {},
      {
        connect: async (transport) => {
          await gate.promise;
          await sdk.server().connect(transport);
        },
      },
    );
    const { guard, sessions, site } = world;
    const socket = await site.sendAndNeverRead("POST", {}, JSON.stringify(INITIALIZE));
    await until(() => guard.stats().sessions === 1);
    socket.destroy();
    await until(() => site.lastResponse?.destroyed === true);
    gate.resolve();
    await until(() => guard.stats().sessions === 0);
    expect(sessions.size).toBe(0);
  });

  test("a session whose client goes just as it is initialized is left by nobody either", async () => {
    const sockets: { destroy(): unknown }[] = [];
    await using world = await served(
      {},
      {
        transport: (given) =>
          sdk.transport({
            ...given,
            onsessioninitialized: async () => {
              sockets[0]?.destroy();
              await until(() => site.lastResponse?.closed === true);
            },
          }),
      },
    );
    const { guard, sessions, site } = world;
    sockets.push(await site.sendAndNeverRead("POST", {}, JSON.stringify(INITIALIZE)));
    await until(() => site.lastResponse?.closed === true);
    await until(() => guard.stats().sessions === 0);
    expect(sessions.size).toBe(0);
  });

  test("requests whose clients went before they were looked at leave nothing behind", async () => {
    await using world = await served();
    const { guard, time, servers, sessions, initialize } = world;
    const headers = await initialize();
    servers[0]?.registerTool("stuck", { inputSchema: z.object({}) }, () => new Promise(() => {}));
    let handled = 0;
    await using slow = await Site.listen(async (request, response) => {
      const body = await parsed(request);
      await until(() => response.destroyed);
      await sessions.handleRequest(request, response, body);
      handled += 1;
    });
    const asks = [{}, headers].map(async (more, index) => {
      const body = JSON.stringify(index === 0 ? INITIALIZE : call(2, "stuck", {}));
      const socket = await slow.sendAndNeverRead("POST", more, body);
      await until(() => slow.lastResponse !== undefined);
      for (let turn = 0; turn < 20; turn += 1) await settle();
      socket.destroy();
    });
    await Promise.all(asks);
    await until(() => handled === 2);
    expect(sessions.size).toBe(1);
    expect(guard.sessions()[0]?.operations).toBe(0);
    time.advance(IDLE_MS + 1000);
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats().usedBytes).toBe(0);
  });

  test.each(["transport", "connect"])(
    "a failing %s is answered, reported and forgotten",
    async (name) => {
      await using world = await served({}, { [name]: failing });
      const { guard, errors, sessions, site } = world;
      const response = await site.post(INITIALIZE);
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ error: { code: -32_603 }, id: null });
      expect(errors).toEqual([new Error("no server today")]);
      await until(() => guard.stats().sessions === 0);
      expect(sessions.size).toBe(0);
    },
  );

  test("close ends every session and opens no more", async () => {
    await using world = await served();
    const { guard, sessions, site, initialize } = world;
    const headers = await initialize();
    expect(sessions.transports()).toEqual([sessions.get(headers["mcp-session-id"])]);
    await initialize();
    await sessions.close();
    await until(() => guard.stats().sessions === 0);
    const refused = await site.post(INITIALIZE);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { data: { reason: "closed" } } });
    expect((await site.post(call(2, "echo", { size: 1 }), headers)).status).toBe(404);
  });
});

test("answerAdmission leaves other errors alone", async () => {
  const answered: boolean[] = [];
  await using site = await Site.listen((_request, response) => {
    answered.push(answerAdmission(response, new Error("else")));
    response.end();
  });
  expect((await fetch(site.url)).status).toBe(200);
  expect(answered).toEqual([false]);
});

const RIGHT = { transport: () => ({}), connect: async () => {} };
const INVALID = "STREAM_GUARD_INVALID_ARGUMENT";

function mapOf(options: unknown): SessionMap<never> {
  const guard = new StreamGuard({ maxMemoryBytes: 1000 });
  return new SessionMap(guard, options as SessionMapOptions<never>);
}

test.each([
  ["transport", undefined],
  ["connect", 1],
  ["principal", "ann"],
  ["principal", null],
  ["limits", null],
  ["limits", 1000],
  ["events", null],
  ["events", true],
  ["initializeTimeoutMs", 0],
  ["onerror", "log"],
  ["onerror", null],
  ["schedule", {}],
])("the wrong SessionMap option %s is named when the map is made: %j", (argument, value) => {
  const error = expect.objectContaining({ argument, code: INVALID });
  expect(() => mapOf({ ...RIGHT, [argument]: value })).toThrow(error);
});

test.each([null, undefined, 1])("options of a SessionMap that are %s are refused", (options) => {
  const error = expect.objectContaining({ argument: "options", code: INVALID });
  expect(() => mapOf(options)).toThrow(error);
});

test.each([
  ["limits", "maxMemoryBytes", 1001],
  ["limits", "maxMemoryBytes", 0],
  ["limits", "idleTimeoutMs", 0],
  ["limits", "stallTimeoutMs", -1],
  ["limits", "signal", {}],
  ["limits", "sendTimeoutMs", 0],
  ["limits", "maxWaiting", -1],
  ["limits", "maxRequests", 0],
  ["limits", "maxBodyBytes", 0],
  ["events", "maxBytes", -1],
  ["events", "maxEvents", 0],
  ["events", "maxAgeMs", Number.NaN],
  ["events", "onGap", "wait"],
  ["events", "now", 1],
])("a wrong option for each session is named as well: %s, %s, %s", (group, argument, value) => {
  const error = expect.objectContaining({ argument, code: INVALID });
  expect(() => mapOf({ ...RIGHT, [group]: { [argument]: value } })).toThrow(error);
});

test.each(["id", "principal", "destination", "session"])(
  "the limits of a SessionMap have no %s: it would be the same for all sessions",
  (name) => {
    const error = expect.objectContaining({ argument: `limits.${name}`, code: INVALID });
    expect(() => mapOf({ ...RIGHT, limits: { [name]: "one" } })).toThrow(error);
    expect(mapOf({ ...RIGHT, limits: { [name]: undefined } }).size).toBe(0);
  },
);

test("every option of a SessionMap may be given at its bound", () => {
  const limits = { maxMemoryBytes: 1000, sendTimeoutMs: 1, maxWaiting: 0, maxRequests: 1 };
  const events = { maxBytes: 0, maxEvents: 1, maxAgeMs: 1, onGap: "skip", now: () => 1 };
  const functions = { principal: () => "ann", onerror: () => {} };
  expect(mapOf({ ...RIGHT, ...functions, limits, events }).size).toBe(0);
  expect(mapOf({ ...RIGHT, limits: {}, events: {} }).size).toBe(0);
});

function failing(): never {
  throw new Error("no server today");
}

async function parsed(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  await settle();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
