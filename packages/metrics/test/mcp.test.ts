import { createServer } from "node:http";
import type { Server as HttpServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Client as ClientV2, InMemoryTransport as MemoryV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { InMemoryTransport as MemoryV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { Server as LowLevelV1 } from "@modelcontextprotocol/sdk/server/index.js";
import { McpServer as McpServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer as McpServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { Metrics } from "../src/index.ts";
import { measure, measureTools } from "../src/mcp.ts";
import type { HasOperations } from "../src/mcp.ts";
import { samplesOf } from "./components.ts";

const NAME = "mcp_server_operation_duration_seconds";
const CALL = { method: "tools/call", tool: "search", transport: "http" } as const;

/** What Node itself throws: aborted before it begins, so that it waits for nothing. */
const nodeAbort: unknown = await setTimeout(1, undefined, { signal: AbortSignal.abort() }).catch(
  (error: unknown) => error,
);

interface ToolResult {
  readonly isError?: unknown;
}

/** The parts of a server and its client that both generations have. */
interface Pair {
  readonly server: object;
  readonly protocol: { readonly _requestHandlers: Map<string, unknown> };
  tool(name: string, run: () => object | Promise<object>): { update(changes: object): void };
  connect(): Promise<void>;
  call(name: string, args?: Record<string, unknown>, signal?: AbortSignal): Promise<ToolResult>;
}

function quiet(now?: () => number): Metrics {
  const metrics = new Metrics({ runtime: false, ...(now === undefined ? {} : { now }) });
  onTestFinished(() => metrics.close());
  return metrics;
}

/** Counts by tool, error and version, such as `search|tool_error|`. */
async function counted(metrics: Metrics): Promise<Record<string, number>> {
  const counts = (await samplesOf(metrics, NAME)).filter(({ name }) => name === `${NAME}_count`);
  return Object.fromEntries(
    counts.map(({ labels, value }) => [
      `${labels["gen_ai_tool_name"] ?? ""}|${labels["error_type"] ?? ""}`,
      value,
    ]),
  );
}

/** The metrics, with a word each time they have recorded. */
function whenRecorded({ operations }: Metrics, recorded: () => void): HasOperations {
  const start: HasOperations["operations"]["start"] = (...args) => {
    const stopwatch = operations.start(...args);
    const record: typeof stopwatch.record = (operation) => {
      const seconds = stopwatch.record(operation);
      recorded();
      return seconds;
    };
    return { ...stopwatch, record };
  };
  return { operations: { start } };
}

/** Operations that run, by method and tool, such as `tools/call|search`. */
async function active(metrics: Metrics): Promise<Record<string, number>> {
  const samples = await samplesOf(metrics, "mcp_server_active_operations");
  return Object.fromEntries(
    samples.map(({ labels, value }) => [
      `${labels["mcp_method_name"] ?? ""}|${labels["gen_ai_tool_name"] ?? ""}`,
      value,
    ]),
  );
}

function handlerOf({ protocol: { _requestHandlers: handlers } }: Pair): unknown {
  return handlers.get("tools/call");
}

async function fails(): Promise<never> {
  throw new Error("not called");
}

function throwsEarly(): never {
  throw new TypeError("early");
}

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

function pairV1(): Pair {
  const server = new McpServerV1({ name: "test", version: "1" });
  const client = new ClientV1({ name: "test", version: "1" });
  onTestFinished(() => client.close());
  return {
    server,
    protocol: server.server as never,
    tool: (name, run) =>
      server.registerTool(name, { inputSchema: { n: z.number().optional() } }, run as never),
    connect: async () => {
      const [left, right] = MemoryV1.createLinkedPair();
      await Promise.all([server.connect(left), client.connect(right)]);
    },
    call: async (name, args = {}, signal = new AbortController().signal) =>
      (await client.callTool({ name, arguments: args }, undefined, { signal })) as ToolResult,
  };
}

function pairV2(): Pair {
  const server = new McpServerV2({ name: "test", version: "1" });
  const client = new ClientV2({ name: "test", version: "1" });
  onTestFinished(() => client.close());
  return {
    server,
    protocol: server.server as never,
    tool: (name, run) =>
      server.registerTool(
        name,
        { inputSchema: z.object({ n: z.number().optional() }) },
        run as never,
      ),
    connect: async () => {
      const [left, right] = MemoryV2.createLinkedPair();
      await Promise.all([server.connect(left as never), client.connect(right)]);
    },
    call: async (name, args = {}, signal = new AbortController().signal) =>
      await client.callTool({ name, arguments: args }, { signal }),
  };
}

describe("measure", () => {
  test("a result passes through and is recorded with its time", async () => {
    let nowMs = 0;
    const metrics = quiet(() => nowMs);
    const result = await measure(metrics, { ...CALL, protocolVersion: "2025-11-25" }, async () => {
      nowMs = 250;
      return "done";
    });
    expect(result).toBe("done");
    const samples = await samplesOf(metrics, NAME);
    const sum = samples.find(({ name }) => name === `${NAME}_sum`);
    expect(sum?.value).toBe(0.25);
    expect(sum?.labels["mcp_protocol_version"]).toBe("2025-11-25");
    expect(sum?.labels).not.toHaveProperty("error_type");
  });

  test.each<[string, unknown, string]>([
    ["an error with a code", Object.assign(new Error("x"), { code: "ECONNRESET" }), "ECONNRESET"],
    ["a JSON-RPC error", Object.assign(new Error("x"), { code: -32602 }), "-32602"],
    ["an error with a name only", new RangeError("x"), "RangeError"],
    ["an abort", new DOMException("stopped", "AbortError"), "AbortError"],
    ["a time-out", new DOMException("late", "TimeoutError"), "TimeoutError"],
    ["an abort of Node's own", nodeAbort, "AbortError"],
    [
      "a DOMException without a legacy code",
      new DOMException("x", "EncodingError"),
      "EncodingError",
    ],
    ["a DOMException with a sentence for a name", new DOMException("x", "no user 7"), "_OTHER"],
    [
      "an error with a sentence for a code",
      Object.assign(new Error("x"), { code: "no such user 7" }),
      "_OTHER",
    ],
    ["a string", "failed", "_OTHER"],
    ["nothing", undefined, "_OTHER"],
  ])("%s passes through and names the error type", async (_, thrown, errorType) => {
    const metrics = quiet();
    const run = async () => {
      throw thrown;
    };
    await expect(measure(metrics, CALL, run)).rejects.toBe(thrown);
    expect(await counted(metrics)).toEqual({ [`search|${errorType}`]: 1 });
  });

  test("a function that throws before it returns a promise is measured too", async () => {
    const metrics = quiet();
    await expect(measure(metrics, CALL, throwsEarly)).rejects.toThrow("early");
    expect(await counted(metrics)).toEqual({ "search|TypeError": 1 });
  });

  test("a result that says isError is a tool error", async () => {
    const metrics = quiet();
    await measure(metrics, CALL, async () => ({ isError: true }));
    await measure(metrics, CALL, async () => ({ isError: false }));
    await measure(metrics, CALL, async () => null);
    expect(await counted(metrics)).toEqual({ "search|tool_error": 1, "search|": 2 });
  });

  test.each<[string, () => Promise<unknown>]>([
    ["a result", async () => "done"],
    ["a tool error", async () => ({ isError: true })],
    ["an error", fails],
    ["an early error", throwsEarly],
  ])("%s after the signal was aborted is cancelled, before it is not", async (_, end) => {
    const metrics = quiet();
    const controller = new AbortController();
    const call = { ...CALL, signal: controller.signal };
    await measure(metrics, call, end).catch(() => undefined);
    expect(Object.keys(await counted(metrics))).not.toContain("search|cancelled");
    const run = async () => {
      controller.abort();
      return await end();
    };
    await measure(metrics, call, run).catch(() => undefined);
    expect(await counted(metrics)).toMatchObject({ "search|cancelled": 1 });
  });
});

describe("measure: active operations", () => {
  const aborted = { ...CALL, signal: AbortSignal.abort() };
  test.each<[string, typeof CALL, () => Promise<unknown>]>([
    ["a result", CALL, async () => "done"],
    ["a tool error", CALL, async () => ({ isError: true })],
    ["an error", CALL, fails],
    ["an error before there is a promise", CALL, throwsEarly],
    ["a result nobody waits for", aborted, async () => "done"],
    ["an error after a cancellation", aborted, fails],
  ])("a call is active until %s, once for each", async (_, call, end) => {
    const metrics = quiet();
    const seen: Record<string, number>[] = [];
    const run = async () => {
      seen.push(await active(metrics));
      await measure(metrics, call, end).catch(() => undefined);
      seen.push(await active(metrics));
      return await end();
    };
    await measure(metrics, call, run).catch(() => undefined);
    expect(seen).toEqual([{ "tools/call|search": 1 }, { "tools/call|search": 1 }]);
    expect(await active(metrics)).toEqual({ "tools/call|search": 0 });
  });

  test("a call is active at once, and next to others", async () => {
    const metrics = quiet();
    const ends = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
    const calls = ends.map(({ promise }) => measure(metrics, CALL, () => promise));
    expect(await active(metrics)).toEqual({ "tools/call|search": 2 });
    ends[0].resolve("first");
    await calls[0];
    expect(await active(metrics)).toEqual({ "tools/call|search": 1 });
    ends[1].resolve("second");
    await calls[1];
    expect(await active(metrics)).toEqual({ "tools/call|search": 0 });
  });

  test("an error whose properties throw passes through, and the call has ended", async () => {
    const metrics = quiet();
    const hostile = Object.defineProperty(new Error("x"), "code", { get: throwsEarly });
    const run = async () => {
      throw hostile;
    };
    await expect(measure(metrics, CALL, run)).rejects.toBe(hostile);
    expect(await counted(metrics)).toEqual({ "search|_OTHER": 1 });
    expect(await active(metrics)).toEqual({ "tools/call|search": 0 });
  });
});

describe.each([
  ["v1", pairV1],
  ["v2", pairV2],
])("measureTools: %s", (generation, createPair) => {
  test("tools registered before and after are measured", async () => {
    const pair = createPair();
    const metrics = quiet();
    pair.tool("before", () => text("1"));
    measureTools(pair.server, metrics);
    pair.tool("after", () => text("2"));
    await pair.connect();
    await pair.call("before");
    await pair.call("after");
    expect(await counted(metrics)).toEqual({ "before|": 1, "after|": 1 });
  });

  test("a server without tools is measured from its first one on", async () => {
    const pair = createPair();
    const metrics = quiet();
    measureTools(pair.server, metrics);
    pair.tool("first", () => text("1"));
    await pair.connect();
    await pair.call("first");
    expect(await counted(metrics)).toEqual({ "first|": 1 });
  });

  test("errors of the tool, of its input and of its name are told apart from success", async () => {
    const pair = createPair();
    const metrics = quiet();
    measureTools(pair.server, metrics);
    pair.tool("throws", () => {
      throw new Error("no");
    });
    pair.tool("refuses", () => ({ ...text("no"), isError: true }));
    pair.tool("strict", () => text("ok"));
    await pair.connect();
    await pair.call("throws");
    await pair.call("refuses");
    await pair.call("strict", { n: "x" });
    await pair.call("secret-key-4711").catch(() => undefined);
    const unknown = generation === "v1" ? "_OTHER|tool_error" : "_OTHER|-32602";
    expect(await counted(metrics)).toEqual({
      "throws|tool_error": 1,
      "refuses|tool_error": 1,
      "strict|tool_error": 1,
      [unknown]: 1,
    });
  });

  test("a call that the client cancels is cancelled, whatever the tool answers", async () => {
    const pair = createPair();
    const metrics = quiet();
    const controller = new AbortController();
    const [entered, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const recorded = Promise.withResolvers<void>();
    measureTools(pair.server, whenRecorded(metrics, recorded.resolve));
    pair.tool("slow", async () => {
      entered.resolve();
      await ended.promise;
      return text("too late");
    });
    await pair.connect();
    const answer = pair.call("slow", {}, controller.signal);
    await entered.promise;
    expect(await active(metrics)).toEqual({ "tools/call|slow": 1 });
    controller.abort();
    await expect(answer).rejects.toThrow(/abort/i);
    ended.resolve();
    await recorded.promise;
    expect(await counted(metrics)).toEqual({ "slow|cancelled": 1 });
    expect(await active(metrics)).toEqual({ "tools/call|slow": 0 });
  });

  test("a tool that gets another callback is still measured", async () => {
    const pair = createPair();
    const metrics = quiet();
    measureTools(pair.server, metrics);
    const tool = pair.tool("changing", () => text("1"));
    tool.update({ callback: () => text("2") });
    await pair.connect();
    expect(await pair.call("changing")).toMatchObject(text("2"));
    expect(await counted(metrics)).toEqual({ "changing|": 1 });
  });

  test("disposing gives the server back exactly as it was", async () => {
    const pair = createPair();
    const metrics = quiet();
    pair.tool("search", () => text("1"));
    const handler = handlerOf(pair);
    const keys = Reflect.ownKeys(pair.protocol);
    const measuring = measureTools(pair.server, metrics);
    expect(handlerOf(pair)).not.toBe(handler);
    measuring[Symbol.dispose]();
    measuring[Symbol.dispose]();
    expect(handlerOf(pair)).toBe(handler);
    expect(Reflect.ownKeys(pair.protocol)).toEqual(keys);
    pair.tool("later", () => text("2"));
    await pair.connect();
    await pair.call("search");
    expect(await counted(metrics)).toEqual({});
  });

  test("two metrics may measure one server, and stop in any order", async () => {
    const pair = createPair();
    const [first, second] = [quiet(), quiet()];
    const firstMeasuring = measureTools(pair.server, first);
    const secondMeasuring = measureTools(pair.server, second);
    pair.tool("search", () => text("1"));
    await pair.connect();
    await pair.call("search");
    firstMeasuring[Symbol.dispose]();
    await pair.call("search");
    secondMeasuring[Symbol.dispose]();
    expect(await pair.call("search")).toMatchObject(text("1"));
    expect(await counted(first)).toEqual({ "search|": 1 });
    expect(await counted(second)).toEqual({ "search|": 2 });
  });

  test("what the caller says about transport and version is recorded", async () => {
    const pair = createPair();
    const metrics = quiet();
    measureTools(pair.server, metrics, { transport: "http", protocolVersion: "2025-06-18" });
    pair.tool("search", () => text("1"));
    await pair.connect();
    await pair.call("search");
    const [sample] = await samplesOf(metrics, NAME);
    expect(sample?.labels).toMatchObject({
      network_transport: "tcp",
      mcp_protocol_version: "2025-06-18",
    });
  });
});

describe("measureTools", () => {
  test("v2 says itself which version it negotiated", async () => {
    const pair = pairV2();
    const metrics = quiet();
    measureTools(pair.server, metrics);
    pair.tool("search", () => text("1"));
    await pair.connect();
    await pair.call("search");
    const [sample] = await samplesOf(metrics, NAME);
    expect(sample?.labels["mcp_protocol_version"]).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(sample?.labels["network_transport"]).toBe("pipe");
  });

  test("v1 over HTTP is recorded as tcp, with the version of the header", async () => {
    const metrics = quiet();
    const server = new McpServerV1({ name: "test", version: "1" });
    measureTools(server, metrics);
    server.registerTool("search", {}, () => text("1"));
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "session" });
    await server.connect(transport);
    const http = createServer(
      (request, response) => void transport.handleRequest(request, response),
    );
    const client = new ClientV1({ name: "test", version: "1" });
    onTestFinished(async () => {
      await client.close();
      http.closeAllConnections();
      http.close();
    });
    await client.connect(new StreamableHTTPClientTransport(await listen(http)));
    await client.callTool({ name: "search", arguments: {} });
    const [sample] = await samplesOf(metrics, NAME);
    expect(sample?.labels).toMatchObject({
      network_transport: "tcp",
      mcp_protocol_version: "2025-11-25",
    });
  });

  test("a low-level server is measured, its tool names bounded by the metrics alone", async () => {
    const metrics = quiet();
    metrics.operations.know(["search"]);
    const server = new LowLevelV1({ name: "test", version: "1" }, { capabilities: { tools: {} } });
    const measuring = measureTools(server, metrics);
    server.setRequestHandler(CallToolRequestSchema, () => text("1"));
    const client = new ClientV1({ name: "test", version: "1" });
    onTestFinished(() => client.close());
    const [left, right] = MemoryV1.createLinkedPair();
    await Promise.all([server.connect(left), client.connect(right)]);
    await client.callTool({ name: "search" });
    await client.callTool({ name: "made-up" });
    measuring[Symbol.dispose]();
    expect(await counted(metrics)).toEqual({ "search|": 1, "_OTHER|": 1 });
  });

  test("a method somebody else has wrapped since is left to them", () => {
    const pair = pairV1();
    const { server } = pair.server as McpServerV1;
    const measuring = measureTools(pair.server, quiet());
    Object.assign(server, { setRequestHandler: fails });
    measuring[Symbol.dispose]();
    expect(Reflect.get(server, "setRequestHandler")).toBe(fails);
  });

  test("a method of the instance's own comes back", () => {
    const pair = pairV1();
    const { server } = pair.server as McpServerV1;
    Object.assign(server, { setRequestHandler: fails });
    measureTools(pair.server, quiet())[Symbol.dispose]();
    expect(Reflect.get(server, "setRequestHandler")).toBe(fails);
  });

  test.each<[string, unknown]>([
    ["setRequestHandler", {}],
    ["setRequestHandler", null],
    ["_requestHandlers", { server: { setRequestHandler: () => undefined } }],
  ])("an object without %s is refused", (missing, server) => {
    expect(() => measureTools(server as object, quiet())).toThrow(
      expect.objectContaining({
        code: "METRICS_UNSUPPORTED_SERVER",
        message: expect.stringContaining(missing),
      }),
    );
  });

  test.each(["transport", "protocolVersion"])("a %s that is no string is refused", (option) => {
    const { server } = pairV1();
    expect(() => measureTools(server, quiet(), { [option]: 7 })).toThrow(
      expect.objectContaining({ code: "METRICS_INVALID_OPTION", option }),
    );
  });
});

async function listen(server: HttpServer): Promise<URL> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
}
