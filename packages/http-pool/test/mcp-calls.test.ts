import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  CreateMessageResultSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../src/index.ts";
import type { ConnectionPoolOptions } from "../src/index.ts";
import { McpCalls } from "../src/mcp-calls.ts";
import type { McpScope } from "../src/mcp-calls.ts";
import { mcpFetch } from "../src/mcp.ts";
import { rejection } from "./helpers/outcome.ts";
import { TestServer } from "./helpers/test-server.ts";

const INFO = { name: "test", version: "1.0.0" };
const TEXT = { type: "text", text: "sampled" } as const;
const SAMPLE = { role: "assistant", model: "m", content: TEXT } as const;

/** A server with a session whose tools ask their client, or never end. */
class SlowMcp {
  cancelled = 0;
  hanging = 0;
  readonly #transport: StreamableHTTPServerTransport;
  readonly #server = new McpServer(INFO);

  constructor(eventStore?: EventStore) {
    this.#transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      ...(eventStore && { eventStore }),
    });
    this.#server.registerTool("ask", {}, async ({ sendRequest }) => {
      const params = { messages: [], maxTokens: 1 };
      const request = { method: "sampling/createMessage" as const, params };
      const { content } = await sendRequest(request, CreateMessageResultSchema);
      return { content: [content] };
    });
    this.#server.registerTool("hang", {}, ({ signal }) => {
      this.hanging += 1;
      return new Promise(() => {
        signal.addEventListener("abort", () => (this.cancelled += 1));
      });
    });
  }

  async start(): Promise<TestServer> {
    await this.#server.connect(this.#transport);
    const handle = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#transport.handleRequest(request, response);
    return new TestServer(handle).start();
  }
}

interface AnyClient {
  call(name: string, timeout: number): Promise<unknown>;
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

const capabilities = { sampling: {} };

const SDKS: Record<string, (url: URL, fetch: typeof globalThis.fetch) => Promise<AnyClient>> = {
  v1: async (url, fetch) => {
    const client = new ClientV1(INFO, { capabilities });
    client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
    await client.connect(new TransportV1(url, { fetch }));
    return {
      call: (name, timeout) => client.callTool({ name, arguments: {} }, undefined, { timeout }),
      ping: () => client.ping(),
      close: () => client.close(),
    };
  },
  v2: async (url, fetch) => {
    const client = new ClientV2(INFO, { capabilities });
    client.setRequestHandler("sampling/createMessage", () => SAMPLE);
    await client.connect(new TransportV2(url, { fetch }));
    return {
      call: (name, timeout) => client.callTool({ name, arguments: {} }, { timeout }),
      ping: () => client.ping(),
      close: () => client.close(),
    };
  },
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

interface World {
  readonly mcp: SlowMcp;
  readonly server: TestServer;
  readonly pool: ConnectionPool;
  readonly client: AnyClient;
}

async function world(
  sdk: string,
  options: ConnectionPoolOptions,
  use: (world: World) => Promise<void>,
  eventStore?: EventStore,
): Promise<void> {
  const mcp = new SlowMcp(eventStore);
  await using server = await mcp.start();
  await using pool = new ConnectionPool(server.origin, options);
  const connect = SDKS[sdk];
  if (connect === undefined) throw new Error("unknown SDK");
  const client = await connect(new URL(server.origin), mcpFetch(pool));
  await use({ mcp, server, pool, client });
  await client.close();
}

describe.each(["v1", "v2"])("a client of the %s SDK", (sdk) => {
  test("calls that it gives up leave their connections, and others work meanwhile", async () => {
    await world(sdk, { maxConnections: 8 }, async ({ client, mcp, pool }) => {
      const calls = Array.from({ length: 8 }, () => rejection(client.call("hang", 100)));
      await until(() => mcp.hanging === 8);
      await client.ping();
      for (const error of await Promise.all(calls)) expect(error.message).toContain("timed out");
      await until(() => pool.stats().active === 0);
      await until(() => mcp.cancelled === 8);
      // The stream that the client listens to is the only one left.
      await until(() => pool.stats().streams <= 1);
      expect(pool.stats()).toMatchObject({ leaks: 0, waiting: 0, rejected: 0, queueTimeouts: 0 });
    });
  });

  test("calls that ask it get their answers while they hold every connection", async () => {
    await world(sdk, { maxConnections: 2 }, async ({ client, pool }) => {
      const calls = Array.from({ length: 2 }, () => client.call("ask", 5000));
      for (const result of await Promise.all(calls))
        expect(result).toMatchObject({ content: [TEXT] });
      expect(pool.stats()).toMatchObject({ waiting: 0, queueTimeouts: 0 });
    });
  });

  test("more calls that ask than there are connections all end, with little beyond", async () => {
    const options = { maxConnections: 2, maxReplies: 1 };
    await world(sdk, options, async ({ client, server }) => {
      const calls = Array.from({ length: 20 }, () => client.call("ask", 5000));
      for (const result of await Promise.all(calls))
        expect(result).toMatchObject({ content: [TEXT] });
      // Two for calls, one for replies, one for the stream, and those that ended but are not yet seen to.
      expect(server.peak).toBeLessThanOrEqual(2 + 1 + 1 + 2);
    });
  });

  test("cancellations reach the server while hung calls hold every connection", async () => {
    await world(sdk, { maxConnections: 2, maxStreams: 1 }, async ({ client, mcp, pool }) => {
      await Promise.all([1, 2].map(() => rejection(client.call("hang", 100))));
      await until(() => mcp.cancelled === 2);
      await until(() => pool.stats().active === 0);
      await client.ping();
      expect(pool.stats()).toMatchObject({ waiting: 0, rejected: 0 });
    });
  });

  test("a stream that could be resumed is not, after its request was cancelled", async () => {
    const events: JSONRPCMessage[] = [];
    const eventStore: EventStore = {
      storeEvent: (_stream, message) => Promise.resolve(`event-${events.push(message)}`),
      replayEventsAfter: () => Promise.resolve("stream"),
    };
    await world(
      sdk,
      { maxConnections: 2 },
      async ({ client, mcp, pool, server }) => {
        const listening: string[] = [];
        const { handler } = server;
        const resumed = new Promise<void>((resolve) => {
          server.handler = (request, response) => {
            if (request.headers["last-event-id"] !== undefined) listening.push("resumed");
            handler(request, response);
          };
          setTimeout(resolve, 1500);
        });
        await Promise.all([1, 2].map(() => rejection(client.call("hang", 100))));
        await until(() => mcp.cancelled === 2 && pool.stats().active === 0);
        // The SDKs resume after a second.
        await resumed;
        expect(listening).toEqual([]);
      },
      eventStore,
    );
  });
});

function session(id: string): RequestInit {
  return { headers: { "Mcp-Session-Id": id } };
}

function transport(): RequestInit {
  return { signal: new AbortController().signal };
}

describe("a cancellation", () => {
  const call = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call" });
  const cancel = JSON.stringify({
    jsonrpc: "2.0",
    method: "notifications/cancelled",
    params: { requestId: 1 },
  });

  /** Calls never end, everything else is accepted. */
  async function hanging(): Promise<TestServer> {
    return new TestServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        if (body !== call) return response.writeHead(202).end();
        response.setHeader("content-type", "text/event-stream");
        return response.write("data: 1\n\n");
      });
    }).start();
  }

  /** Whether the answer to each call has ended when a cancellation came with `by`. */
  async function ended(calls: RequestInit[], by: RequestInit): Promise<boolean[]> {
    await using server = await hanging();
    await using pool = new ConnectionPool(server.origin);
    const fetch = mcpFetch(pool);
    const outcomes = await Promise.all(
      calls.map(async (init) => {
        const response = await fetch(server.origin, { ...init, method: "POST", body: call });
        const outcome = { ended: false };
        void response.text().then(
          () => (outcome.ended = true),
          () => undefined,
        );
        return outcome;
      }),
    );
    await fetch(server.origin, { ...by, method: "POST", body: cancel });
    for (let turns = 0; turns < 20; turns += 1)
      await new Promise((resolve) => setImmediate(resolve));
    const result = outcomes.map((outcome) => outcome.ended);
    await pool.destroy();
    return result;
  }

  test("ends the request of its own session and no other", async () => {
    expect(await ended([session("a"), session("b")], session("a"))).toEqual([true, false]);
    expect(await ended([session("a")], {})).toEqual([false]);
  });

  test("without sessions, the request of its own transport and no other", async () => {
    const [one, other] = [transport(), transport()];
    expect(await ended([one, other], other)).toEqual([false, true]);
  });

  test("ends nothing when it could mean several", async () => {
    expect(await ended([{}, {}], {})).toEqual([false, false]);
    expect(await ended([{}], {})).toEqual([true]);
  });

  test("fails a request to which nothing has come, and its connection is free", async () => {
    const arrived = Promise.withResolvers<void>();
    await using server = await new TestServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        if (body === call) arrived.resolve();
        else response.writeHead(400).end();
      });
    }).start();
    await using pool = new ConnectionPool(server.origin, { maxConnections: 1 });
    const fetch = mcpFetch(pool);
    const lost = rejection(fetch(server.origin, { method: "POST", body: call }));
    await arrived.promise;
    // Whatever the server says to it.
    const answer = await fetch(server.origin, { method: "POST", body: cancel });
    expect(answer.status).toBe(400);
    expect((await lost).name).toBe("AbortError");
    await until(() => pool.stats().active === 0);
    expect(pool.stats()).toMatchObject({ aborted: 1, failed: 0 });
  });

  test("fails one to which only early hints have come", async () => {
    const arrived = Promise.withResolvers<void>();
    await using server = await new TestServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        if (body !== call) return response.writeHead(202).end();
        return response.writeEarlyHints({ link: "</x>; rel=preload" }, () => arrived.resolve());
      });
    }).start();
    await using pool = new ConnectionPool(server.origin);
    const fetch = mcpFetch(pool);
    const lost = rejection(fetch(server.origin, { method: "POST", body: call }));
    await arrived.promise;
    await fetch(server.origin, { method: "POST", body: cancel });
    expect((await lost).name).toBe("AbortError");
  });
});

/** What `McpCalls` sees of an exchange. */
function exchange(
  calls: McpCalls,
  scope: McpScope,
  ids: string[],
): {
  handler: Dispatcher.DispatchHandler;
  controller: Dispatcher.DispatchController;
  log: string[];
} {
  const log: string[] = [];
  const handler = calls.watch(
    scope,
    ids,
  )({
    onResponseEnd: () => void log.push("end"),
    onResponseError: () => void log.push("error"),
  });
  const controller = {
    abort: () => void log.push("abort"),
  } as unknown as Dispatcher.DispatchController;
  handler.onRequestStart?.(controller, undefined);
  return { handler, controller, log };
}

function event(id: number | string): Buffer {
  return Buffer.from(`id: ${id}\ndata: x\n\n`);
}

describe("the calls of clients", () => {
  const scope: McpScope = { session: "s", signal: undefined };
  const EVENTS = { "content-type": "text/event-stream" };

  test("a batch goes on until the last of its requests is cancelled", () => {
    const calls = new McpCalls();
    const { log } = exchange(calls, scope, ["1", "2"]);
    calls.cancel(scope, "1");
    expect(log).toEqual([]);
    calls.cancel(scope, "2");
    expect(log).toEqual(["error", "abort"]);
    expect(calls.size).toBe(0);
  });

  test("are forgotten when they end, however they do", () => {
    const calls = new McpCalls();
    for (const end of ["onResponseEnd", "onResponseError"] as const) {
      const [one, other] = [exchange(calls, scope, ["1"]), exchange(calls, scope, ["1"])];
      expect(calls.size).toBe(1);
      one.handler[end]?.(one.controller, {} as never);
      expect(calls.size).toBe(1);
      other.handler[end]?.(other.controller, {} as never);
      expect(calls.size).toBe(0);
    }
  });

  test("the last thousand streams that were cancelled are not resumed", () => {
    const calls = new McpCalls();
    for (let id = 0; id <= 1000; id += 1) {
      const { handler, controller } = exchange(calls, scope, ["1"]);
      handler.onResponseStart?.(controller, 200, EVENTS);
      handler.onResponseData?.(controller, event(id));
      calls.cancel(scope, "1");
    }
    expect(calls.isAbandoned("s", "0")).toBe(false);
    expect(calls.isAbandoned("s", "1")).toBe(true);
    expect(calls.isAbandoned("s", "1000")).toBe(true);
    expect(calls.isAbandoned("other", "1000")).toBe(false);
  });

  test("what is coded is not looked at for events", () => {
    const calls = new McpCalls();
    const { handler, controller } = exchange(calls, scope, ["1"]);
    handler.onResponseStart?.(controller, 200, { ...EVENTS, "content-encoding": "gzip" });
    handler.onResponseData?.(controller, event("x"));
    calls.cancel(scope, "1");
    expect(calls.isAbandoned("s", "x")).toBe(false);
  });
});
