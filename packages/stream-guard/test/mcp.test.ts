import { randomUUID } from "node:crypto";
import { PassThrough, Writable } from "node:stream";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as InMemoryV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport as StdioV1 } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport as HttpV1 } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  NodeStreamableHTTPServerTransport as HttpV2,
  toNodeHandler,
} from "@modelcontextprotocol/node";
import { Client as ClientV2, InMemoryTransport as InMemoryV2 } from "@modelcontextprotocol/client";
import { McpServer as ServerV2, createMcpHandler } from "@modelcontextprotocol/server";
import { StdioServerTransport as StdioV2 } from "@modelcontextprotocol/server/stdio";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  AdmissionError,
  MemoryLimitError,
  QueueFullError,
  StreamGuard,
} from "@mcp-accel/stream-guard";
import type { StreamGuardOptions } from "@mcp-accel/stream-guard";
import { guardResponse, guardTransport } from "@mcp-accel/stream-guard/mcp";
import { FakeTime, settle } from "./fake-time.ts";
import { INITIALIZE, Site, until } from "./mcp-http.ts";

const KIB = 1024;
const LIMIT = 1024 * KIB;
const INFO = { name: "test", version: "1" };
const LOGGING = { capabilities: { logging: {} } };

function guardOf(options: StreamGuardOptions = {}) {
  const time = new FakeTime();
  const { now, schedule } = time;
  const guard = new StreamGuard({ sessionMaxMemoryBytes: LIMIT, now, schedule, ...options });
  return { guard, time };
}

function serverOf(version: "v1" | "v2"): ServerV1 {
  const server =
    version === "v1"
      ? new ServerV1(INFO, LOGGING)
      : (new ServerV2(INFO, LOGGING) as unknown as ServerV1);
  server.registerTool("echo", { inputSchema: z.object({ size: z.number() }) }, ({ size }) => ({
    content: [{ type: "text", text: "x".repeat(size) }],
  }));
  server.registerTool(
    "flood",
    { inputSchema: z.object({ times: z.number() }) },
    async ({ times }, extra) => {
      for (let count = 0; count < times; count += 1)
        await notify(extra)({
          method: "notifications/message",
          params: { level: "info", data: FILL },
        });
      return { content: [] };
    },
  );
  return server;
}

type Notify = (notification: {
  method: "notifications/message";
  params: { level: "info"; data: string };
}) => Promise<void>;
const FILL = "x".repeat(64 * KIB);

/** How a tool of either SDK notifies its own caller. */
function notify(extra: unknown): Notify {
  const { sendNotification, mcpReq } = extra as {
    sendNotification?: Notify;
    mcpReq?: { notify: Notify };
  };
  return sendNotification ?? (mcpReq as { notify: Notify }).notify;
}

/** A pipe whose reader takes nothing until told to. */
function stalledPipe() {
  const pending: (() => void)[] = [];
  const pipe = new Writable({
    write: (_chunk, _encoding, callback) => void pending.push(callback),
    writev: (_chunks, callback) => void pending.push(callback),
  });
  return { pipe, accept: () => pending.shift()?.() };
}

/** A request for a tool. */
function call(id: number, name: string, args: object): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

async function log(server: ServerV1 | undefined, data: string): Promise<void> {
  await server?.server.notification({
    method: "notifications/message",
    params: { level: "info", data },
  });
}

describe.each(["v1", "v2"] as const)("guardTransport with a %s McpServer", (version) => {
  async function connected(guard: StreamGuard, options: Parameters<typeof guardTransport>[2] = {}) {
    const [near, far] =
      version === "v1" ? InMemoryV1.createLinkedPair() : InMemoryV2.createLinkedPair();
    const server = serverOf(version);
    const client =
      version === "v1" ? new ClientV1(INFO) : (new ClientV2(INFO) as unknown as ClientV1);
    const transport = guardTransport(far, guard, options);
    await Promise.all([server.connect(transport), client.connect(near)]);
    return { server, client, transport, far };
  }

  test("tools answer as before, and nothing stays charged", async () => {
    const { guard } = guardOf();
    const { client } = await connected(guard);
    const result = await client.callTool({ name: "echo", arguments: { size: 5 } });
    expect(result).toMatchObject({ content: [{ text: "xxxxx" }] });
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 1 });
    expect(guard.stats().peakBytes).toBeGreaterThan(256);
  });

  test("the session ends with the transport, whoever closes it", async () => {
    const { guard } = guardOf();
    const first = await connected(guard);
    let closed = 0;
    first.server.server.onclose = () => {
      closed += 1;
    };
    await first.client.close();
    await settle();
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { closed: 1 } });
    const second = await connected(guard);
    await second.server.close();
    expect(guard.stats()).toMatchObject({ sessions: 0, closed: { closed: 2 } });
    expect(closed).toBe(1);
  });

  test("an idle session is closed and so is its transport; a request under way keeps it", async () => {
    const { guard, time } = guardOf();
    const { server, client } = await connected(guard);
    const gate = Promise.withResolvers<void>();
    server.registerTool("slow", { inputSchema: z.object({}) }, async () => {
      await gate.promise;
      return { content: [] };
    });
    const answer = client.callTool({ name: "slow", arguments: {} });
    await until(() => guard.sessions()[0]?.operations === 1);
    time.advance(3_600_000);
    expect(guard.stats().sessions).toBe(1);
    gate.resolve();
    await answer;
    await until(() => guard.sessions()[0]?.operations === 0);
    const closed = new Promise<void>((resolve) => {
      client.onclose = resolve;
    });
    time.advance(302_000);
    await closed;
    expect(guard.stats().closed.idle).toBe(1);
  });

  test("a response larger than the session may hold becomes an error that says so", async () => {
    const { guard } = guardOf();
    const { client } = await connected(guard, { maxMemoryBytes: 10 * KIB });
    const answer = client.callTool({ name: "echo", arguments: { size: 20 * KIB } });
    const error = await answer.catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: -32_603,
      message: expect.stringContaining("ask for less at once") as string,
      data: { code: "STREAM_GUARD_MEMORY_LIMIT", limitBytes: 10 * KIB },
    });
    expect(await client.callTool({ name: "echo", arguments: { size: 1 } })).toMatchObject({
      content: [{ text: "x" }],
    });
  });

  test("a full guard refuses the transport and leaves it untouched", async () => {
    const { guard } = guardOf({ maxSessions: 1 });
    await connected(guard);
    const [, far] = InMemoryV1.createLinkedPair();
    expect(() => guardTransport(far, guard)).toThrow(AdmissionError);
    expect(far.onclose).toBeUndefined();
  });

  test("everything else is the transport's own", async () => {
    const { guard } = guardOf();
    const { transport, far } = await connected(guard);
    Object.assign(transport, { sessionId: "mine" });
    expect(far.sessionId).toBe("mine");
    expect(Reflect.get(transport, "start")).toBe(Reflect.get(transport, "start"));
    expect(transport.constructor).toBe(far.constructor);
    expect(transport).toBeInstanceOf(far.constructor);
    expect(typeof transport.onmessage).toBe("function");
    expect(transport.onmessage).not.toBe(far.onmessage);
  });
});

describe.each(["v1", "v2"] as const)(
  "guardTransport with the %s Streamable HTTP transport",
  (version) => {
    /** One server and transport per MCP session, as the SDKs want it. */
    async function served(
      guard: StreamGuard,
      options: Parameters<typeof guardTransport>[2] = {},
      json = false,
    ) {
      const transports = new Map<string, HttpV1>();
      const servers: ServerV1[] = [];
      const errors: Error[] = [];
      const open = async (): Promise<HttpV1> => {
        const Http = version === "v1" ? HttpV1 : (HttpV2 as unknown as typeof HttpV1);
        const transport = guardTransport(
          new Http({
            sessionIdGenerator: randomUUID,
            enableJsonResponse: json,
            onsessioninitialized: (id) => void transports.set(id, transport),
          }),
          guard,
          options,
        );
        const server = serverOf(version);
        server.server.onerror = (error) => errors.push(error);
        servers.push(server);
        await server.connect(transport);
        return transport;
      };
      const site = await Site.listen(async (request, response) => {
        const known = transports.get(String(request.headers["mcp-session-id"]));
        await (known ?? (await open())).handleRequest(request, response);
      });
      const initialize = async (): Promise<Record<string, string>> => {
        const response = await site.post(INITIALIZE);
        await response.text();
        return { "mcp-session-id": response.headers.get("mcp-session-id") ?? "" };
      };
      const close = (): Promise<void> => site[Symbol.asyncDispose]();
      return { site, servers, errors, initialize, [Symbol.asyncDispose]: close };
    }

    test("4,000 notifications of 64 KiB to a client that does not read keep no more than the limit; others are served", async () => {
      const { guard, time } = guardOf({ reserveTimeoutMs: 5000 });
      await using world = await served(guard);
      const { site, servers, errors, initialize } = world;
      const stuck = await initialize();
      const other = await initialize();
      await site.sendAndNeverRead("GET", stuck);
      await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
      const response = site.lastResponse;
      const before = process.memoryUsage().arrayBuffers;
      let sent = 0;
      const flood = (async () => {
        for (; sent < 4000; sent += 1) await log(servers[0], FILL);
      })().catch((error: unknown) => error);
      await until(() => guard.stats().waiting === 1);
      for (let turn = 0; turn < 100; turn += 1) await settle();
      expect(guard.stats().waiting).toBe(1);
      expect(sent).toBeLessThan(4000);
      expect(response?.writableLength).toBeLessThanOrEqual(LIMIT);
      expect(response?.writableLength).toBeGreaterThan(LIMIT / 2);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * LIMIT);

      const answer = await site.post(call(2, "echo", { size: 3 }), other);
      expect(await answer.text()).toContain("xxx");

      time.advance(5000);
      expect(await flood).toBeInstanceOf(MemoryLimitError);
      await until(() => guard.stats().sessions === 1 && guard.stats().usedBytes === 0);
      expect(response?.destroyed).toBe(true);
      expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { limit: 1 } });
      expect(Math.max(...guard.sessions().map(({ peakBytes }) => peakBytes))).toBeLessThan(LIMIT);
      expect(errors.map(({ name }) => name)).toContain("SessionClosedError");
    });

    test("a tool that floods its own response before anyone can read is held to the limit too", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { site, initialize } = world;
      const headers = await initialize();
      const before = process.memoryUsage().arrayBuffers;
      await site.sendAndNeverRead(
        "POST",
        headers,
        JSON.stringify(call(3, "flood", { times: 4000 })),
      );
      await until(() => guard.stats().waiting === 1);
      for (let turn = 0; turn < 100; turn += 1) await settle();
      expect(guard.stats().waiting).toBe(1);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * LIMIT);
      expect(guard.stats().peakBytes).toBeLessThanOrEqual(2 * LIMIT);
    });

    test("a client that reads gets everything, however much that is", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { site, initialize } = world;
      const headers = await initialize();
      const response = await site.post(call(4, "flood", { times: 200 }), headers);
      const body = await response.text();
      expect(body.split(FILL)).toHaveLength(201);
      await until(() => guard.stats().usedBytes === 0);
      expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    });

    test("messages keep their order while they wait for room", async () => {
      const { guard } = guardOf();
      await using world = await served(guard, { maxMemoryBytes: 4000 });
      const { site, servers, initialize } = world;
      const headers = await initialize();
      const controller = new AbortController();
      const stream = await fetch(site.url, {
        headers: { ...headers, accept: "text/event-stream" },
        signal: controller.signal,
      });
      const sizes = Array.from({ length: 10 }, (_, index) => ((index * 37) % 11) * 30 + 1);
      const sends = sizes.map((size, index) => log(servers[0], `#${index}#${"x".repeat(size)}`));
      await Promise.all(sends);
      let seen = "";
      const decoder = new TextDecoder();
      for await (const chunk of stream.body ?? []) {
        seen += decoder.decode(chunk as Uint8Array, { stream: true });
        if (seen.includes("#9#")) break;
      }
      expect([...seen.matchAll(/#(\d)#/g)].map(([, index]) => index).join("")).toBe("0123456789");
      controller.abort();
    });

    test("messages nobody awaits are bounded as well", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { site, servers, initialize } = world;
      const headers = await initialize();
      await site.sendAndNeverRead("GET", headers);
      await until(() => site.lastResponse?.req.method === "GET" && site.lastResponse.headersSent);
      const sends = Array.from({ length: 1000 }, () => log(servers[0], FILL));
      const outcomes = Promise.allSettled(sends);
      await settle();
      await guard.close();
      const failures = (await outcomes).flatMap((outcome) =>
        outcome.status === "rejected" ? [outcome.reason as Error] : [],
      );
      const full = failures.filter((error) => error instanceof QueueFullError);
      expect(full.length).toBeGreaterThan(900);
      expect(failures.length - full.length).toBeLessThanOrEqual(16);
    });

    test("JSON responses work, and progress that such a response drops is not charged for ever", async () => {
      const { guard } = guardOf();
      await using world = await served(guard, {}, true);
      const { site, initialize } = world;
      const headers = await initialize();
      const response = await site.post(call(5, "flood", { times: 100 }), headers);
      expect(await response.json()).toMatchObject({ id: 5, result: { content: [] } });
      await until(() => guard.stats().usedBytes === 0);
    });

    test("without a stream to write to, notifications are not charged for ever", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { servers, initialize } = world;
      await initialize();
      await until(() => guard.stats().usedBytes === 0);
      for (let count = 0; count < 100; count += 1) await log(servers[0], FILL);
      expect(guard.stats().usedBytes).toBe(0);
    });

    test("a deleted session ends when its last response is gone", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { site, initialize } = world;
      const headers = await initialize();
      const response = await fetch(site.url, { method: "DELETE", headers });
      expect(response.status).toBe(200);
      await until(() => guard.stats().sessions === 0);
      expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { closed: 1 } });
    });

    test("an idle client's stream ends in peace", async () => {
      const { guard, time } = guardOf();
      await using world = await served(guard);
      const { site, initialize } = world;
      const headers = await initialize();
      const stream = await fetch(site.url, {
        headers: { ...headers, accept: "text/event-stream" },
      });
      await until(() => guard.stats().usedBytes === 0);
      time.advance(400_000);
      expect(guard.stats()).toMatchObject({ sessions: 0, closed: { idle: 1 } });
      expect(await stream.text()).toBe("");
      expect((await site.post(call(7, "echo", { size: 1 }), headers)).status).toBe(404);
    });

    test("a request that the client cancels no longer keeps the session", async () => {
      const { guard } = guardOf();
      await using world = await served(guard);
      const { site, servers, initialize } = world;
      const headers = await initialize();
      const started = Promise.withResolvers<void>();
      servers[0]?.registerTool("stuck", { inputSchema: z.object({}) }, () => {
        started.resolve();
        return new Promise(() => {});
      });
      await site.sendAndNeverRead("POST", headers, JSON.stringify(call(6, "stuck", {})));
      await started.promise;
      expect(guard.sessions()[0]?.operations).toBe(1);
      await site.post(
        { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 6 } },
        headers,
      );
      await until(() => guard.sessions()[0]?.operations === 0);
    });
  },
);

describe.each(["v1", "v2"] as const)("guardTransport with the %s stdio transport", (version) => {
  test("messages count until the pipe drained; past the limit they wait, and then the session fails", async () => {
    const { guard, time } = guardOf();
    const { pipe, accept } = stalledPipe();
    const Stdio = version === "v1" ? StdioV1 : (StdioV2 as unknown as typeof StdioV1);
    const stdio = new Stdio(new PassThrough(), pipe);
    const transport = guardTransport(stdio, guard, { destination: pipe, sendTimeoutMs: 1000 });
    const errors: Error[] = [];
    let closed = 0;
    transport.onerror = (error) => errors.push(error);
    transport.onclose = () => {
      closed += 1;
    };
    await transport.start();
    const outcomes: string[] = [];
    const send = (name: string) =>
      transport
        .send({ jsonrpc: "2.0", method: "notifications/message", params: { data: FILL } })
        .then(
          () => outcomes.push(name),
          (error: Error) => outcomes.push(`${name}: ${error.name}`),
        );
    const sends = Array.from({ length: 20 }, (_, index) => send(String(index)));
    await settle();
    expect(guard.stats()).toMatchObject({ sessions: 1, waiting: 1 });
    expect(guard.stats().usedBytes).toBeLessThanOrEqual(LIMIT);
    expect(pipe.writableLength).toBeLessThanOrEqual(LIMIT);
    for (let turn = 0; turn < 3; turn += 1) {
      accept();
      await settle();
    }
    expect(outcomes).toHaveLength(15);
    time.advance(1000);
    expect(guard.stats().usedBytes).toBeLessThanOrEqual(LIMIT);
    const flood = Array.from({ length: 20 }, (_, index) => send(`late ${index}`));
    await settle();
    time.advance(1000);
    pipe.destroy();
    await settle();
    expect(guard.stats()).toMatchObject({ sessions: 0, usedBytes: 0, closed: { limit: 1 } });
    expect(errors[0]?.name).toBe("SessionClosedError");
    expect(closed).toBe(1);
    expect(outcomes.some((outcome) => outcome.endsWith("MemoryLimitError"))).toBe(true);
    void [sends, flood];
  });
});

test("a message whose pipe is not drained yet is charged until it is", async () => {
  const { guard } = guardOf();
  const pending: (() => void)[] = [];
  const pipe = new Writable({
    highWaterMark: 1000,
    write: (_chunk, _encoding, callback) => void pending.push(callback),
  });
  const transport = guardTransport(new StdioV1(new PassThrough(), pipe), guard, {
    destination: pipe,
  });
  const send = (data: string) =>
    transport.send({ jsonrpc: "2.0", method: "notifications/message", params: { data } });
  const sends = [send("a"), send("b"), send("x".repeat(2000))];
  await Promise.all(sends.slice(0, 2));
  const used = guard.stats().usedBytes;
  expect(used).toBeGreaterThan(2000 + 3 * 256);
  for (let turn = 0; turn < 3; turn += 1) {
    pending.shift()?.();
    await settle();
  }
  await Promise.all(sends);
  expect(guard.stats().usedBytes).toBe(0);
  expect([pipe.listenerCount("drain"), pipe.listenerCount("close")]).toEqual([0, 0]);
  await transport.close();
});

test("a transport that fails to send or to close is reported, and stays charged for nothing", async () => {
  const { guard } = guardOf();
  const errors: string[] = [];
  const transport = guardTransport(
    {
      send: async (_message: unknown) => {
        throw new Error("no wire");
      },
      close: async () => {
        throw new Error("stuck");
      },
      onerror: (error: Error) => void errors.push(error.message),
    },
    guard,
    { id: "odd" },
  );
  await expect(transport.send({})).rejects.toThrow("no wire");
  expect(guard.stats().usedBytes).toBe(0);
  const tooLarge = { method: "note", params: FILL.repeat(20) };
  await expect(transport.send(tooLarge)).rejects.toThrow(MemoryLimitError);
  expect(guard.stats().sessions).toBe(1);
  await guard.close();
  await settle();
  expect(errors).toEqual(["session odd is closed (guard); open a new one", "stuck"]);
  await expect(transport.send({})).rejects.toMatchObject({
    code: "STREAM_GUARD_SESSION_CLOSED",
  });
});

test.each([
  ["sendTimeoutMs", 0],
  ["maxWaiting", -1],
  ["idleTimeoutMs", 0],
])("the wrong transport option %s is named", (argument, value) => {
  const { guard } = guardOf();
  const [, far] = InMemoryV1.createLinkedPair();
  expect(() => guardTransport(far, guard, { [argument]: value })).toThrow(
    expect.objectContaining({ argument }),
  );
  expect(guard.stats().sessions).toBe(0);
});

describe("guardResponse", () => {
  test("with createMcpHandler of SDK v2 a client that does not read is held to the limit, and its response is destroyed", async () => {
    const { guard } = guardOf();
    const limits: string[] = [];
    guard.on("limit", ({ error }) => limits.push(error.sessionId));
    const handler = toNodeHandler(createMcpHandler(() => serverOf("v2") as unknown as ServerV2));
    await using site = await Site.listen((request, response) => {
      guardResponse(response, guard, { id: "sse" });
      return handler(request as Parameters<typeof handler>[0], response);
    });
    const message = {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "flood", arguments: { times: 4000 } },
    };
    await site.sendAndNeverRead("POST", {}, JSON.stringify(message));
    await until(() => guard.stats().closed.limit === 1);
    expect(limits).toEqual(["sse"]);
    expect(site.lastResponse?.destroyed).toBe(true);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
  });

  test("what is buffered is charged, and what the client reads is released", async () => {
    const { guard } = guardOf();
    const peaks: number[] = [];
    const done = Promise.withResolvers<unknown>();
    guard.on("close", ({ reason, peakBytes }) => {
      peaks.push(peakBytes);
      done.resolve(reason);
    });
    await using site = await Site.listen((_request, response) => {
      const { session } = guardResponse(response, guard);
      response.writeHead(200, { "content-type": "text/plain" });
      expect(response.write("grün", "utf8", () => {})).toBe(true);
      expect(response.write(Buffer.alloc(512 * KIB, "x"))).toBe(true);
      expect(session.memoryUsageBytes).toBe(response.writableLength);
      expect(session.operations).toBe(1);
      response.end("!");
    });
    const body = await (await fetch(site.url)).text();
    expect(body).toHaveLength(512 * KIB + 5);
    expect(await done.promise).toBe("closed");
    expect(peaks[0]).toBeGreaterThan(512 * KIB);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
  });

  test("absorb: false leaves backpressure to the writer", async () => {
    const { guard } = guardOf();
    const ready: boolean[] = [];
    await using site = await Site.listen((_request, response) => {
      guardResponse(response, guard, { absorb: false });
      ready.push(response.write(Buffer.alloc(512 * KIB)));
      response.end();
    });
    await (await fetch(site.url)).arrayBuffer();
    expect(ready).toEqual([false]);
  });

  test("a client that goes away gives everything back", async () => {
    const { guard } = guardOf();
    await using site = await Site.listen((_request, response) => {
      guardResponse(response, guard);
      response.write(Buffer.alloc(900 * KIB));
    });
    const socket = await site.sendAndNeverRead("GET", {});
    await until(() => guard.stats().sessions === 1);
    socket.destroy();
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, closed: { destination: 1 } });
  });

  test("one write beyond the limit destroys the response before the bytes are taken", async () => {
    const { guard } = guardOf();
    const outcomes: unknown[] = [];
    await using site = await Site.listen((_request, response) => {
      const { session } = guardResponse(response, guard);
      outcomes.push(
        response.write(Buffer.alloc(LIMIT + 1)),
        session.closeReason,
        session.peakBytes,
        response.destroyed,
      );
      outcomes.push(response.write("more"), response.end("end") === response);
    });
    await expect(fetch(site.url)).rejects.toThrow("fetch failed");
    expect(outcomes).toEqual([true, "limit", 0, true, true, true]);
  });

  test("a writer that awaits admit waits for its reader, and every byte arrives", async () => {
    const { guard } = guardOf();
    const chunk = Buffer.alloc(256 * KIB, "x");
    const done = Promise.withResolvers<string>();
    guard.on("close", ({ reason }) => done.resolve(reason));
    await using site = await Site.listen(async (_request, response) => {
      const { admit } = guardResponse(response, guard);
      for (let index = 0; index < 64; index += 1) {
        await admit(chunk.byteLength + KIB);
        response.write(chunk);
      }
      response.end();
    });
    const body = await (await fetch(site.url)).arrayBuffer();
    expect(body.byteLength).toBe(64 * chunk.byteLength);
    expect(await done.promise).toBe("closed");
    expect(guard.stats().peakBytes).toBeLessThanOrEqual(LIMIT);
    expect(guard.stats()).toMatchObject({ usedBytes: 0, sessions: 0 });
  });

  test("admit gives up with its signal, and what was admitted but never sent is given back", async () => {
    const { guard } = guardOf();
    const giveUp = new AbortController();
    const outcome = Promise.withResolvers<unknown>();
    await using site = await Site.listen(async (_request, response) => {
      const { admit } = guardResponse(response, guard);
      await admit(512 * KIB);
      response.write(Buffer.alloc(900 * KIB));
      const refused = admit(512 * KIB, { signal: giveUp.signal });
      giveUp.abort(new Error("enough"));
      outcome.resolve(await refused.catch((error: unknown) => error));
    });
    const socket = await site.sendAndNeverRead("GET", {});
    expect(await outcome.promise).toMatchObject({ message: "enough" });
    socket.destroy();
    await until(() => guard.stats().sessions === 0);
    expect(guard.stats().usedBytes).toBe(0);
  });

  test("closing the session destroys a response that still holds bytes", async () => {
    const { guard } = guardOf({ sessionMaxMemoryBytes: 64 * LIMIT });
    await using site = await Site.listen((_request, response) => {
      guardResponse(response, guard);
      response.write(Buffer.alloc(32 * LIMIT));
    });
    await site.sendAndNeverRead("GET", {});
    await until(() => guard.stats().sessions === 1);
    await guard.close();
    expect(site.lastResponse?.destroyed).toBe(true);
  });
});
