import { getEventListeners } from "node:events";
import { Client as ClientV2, InMemoryTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as TransportV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { fromJsonSchema, McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { BatchProcessor } from "../src/index.ts";
import { batchCall, batchTool, requestContext } from "../src/mcp.ts";
import { abandonedAfter } from "../src/mcp-tool-call.ts";
import type { BatchCallTool, HandlerExtra, TextToolResult, ToolResult } from "../src/mcp.ts";
import { range } from "./support/backend.ts";
import { turn, VirtualTime } from "./support/virtual-time.ts";

interface Progress {
  readonly progress: number;
  readonly total?: number | undefined;
}

interface Session extends AsyncDisposable {
  call(
    name: string,
    args: Record<string, unknown>,
    options?: { signal?: AbortSignal; onprogress?: (progress: Progress) => void },
  ): Promise<{
    content?: unknown;
    structuredContent?: unknown;
    isError?: unknown;
    _meta?: unknown;
  }>;
}

type Lookup = BatchProcessor<{ id: number }, { id: number; name: string }>;

const info = { name: "test", version: "1.0.0" };
const lookupShape = { id: z.number() };
const batchCallShape = {
  calls: z.array(
    z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).optional() }),
  ),
};

async function v1(lookup: Lookup, bulk: BatchCallTool): Promise<Session> {
  const server = new ServerV1(info);
  server.registerTool("lookup", { inputSchema: lookupShape }, batchTool(lookup));
  server.registerTool(
    bulk.name,
    { description: bulk.description, inputSchema: batchCallShape },
    (args, extra) => bulk.handler(args, requestContext(extra)),
  );
  const client = new ClientV1(info);
  const [ours, theirs] = TransportV1.createLinkedPair();
  await Promise.all([server.connect(theirs), client.connect(ours)]);
  return {
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function v2(lookup: Lookup, bulk: BatchCallTool): Promise<Session> {
  const server = new ServerV2(info);
  server.registerTool("lookup", { inputSchema: z.object(lookupShape) }, batchTool(lookup));
  server.registerTool(
    bulk.name,
    { description: bulk.description, inputSchema: fromJsonSchema(bulk.inputSchema) },
    (args, context) => bulk.handler(args, requestContext(context)),
  );
  const client = new ClientV2(info);
  const [ours, theirs] = TransportV2.createLinkedPair();
  await Promise.all([server.connect(theirs), client.connect(ours)]);
  return {
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

function lookupBatcher(sizes: number[] = []): Lookup {
  return new BatchProcessor(async (items) => {
    sizes.push(items.length);
    return items.map(({ id }) => (id === 13 ? new Error("unlucky") : { id, name: `name ${id}` }));
  });
}

const echoTool = async (name: string, args: unknown): Promise<TextToolResult> => ({
  content: [{ type: "text", text: `${name} ${JSON.stringify(args)}` }],
});

describe.each([
  ["v1", v1],
  ["v2", v2],
])("with the real %s McpServer", (_, connect) => {
  test("concurrent calls of one tool become one bulk call, and fail one by one", async () => {
    const sizes: number[] = [];
    await using session = await connect(lookupBatcher(sizes), batchCall(echoTool));
    const results = await Promise.all(range(20).map((id) => session.call("lookup", { id })));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(20);
    expect(sizes.length).toBeLessThanOrEqual(4);
    expect(results[3]).toMatchObject({ structuredContent: { id: 3, name: "name 3" } });
    expect(results[13]).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining("unlucky") }],
    });
  });

  test("what the batcher refuses is a tool error with its code", async () => {
    const lookup = lookupBatcher();
    await lookup.close();
    await using session = await connect(lookup, batchCall(echoTool));
    const result = await session.call("lookup", { id: 1 });
    expect(result).toMatchObject({ isError: true, _meta: { "mcp-accel/code": "BATCHER_CLOSED" } });
  });

  test("cancelling a call takes its item out of the queue", async () => {
    const lookup = lookupBatcher();
    lookup.pause();
    await using session = await connect(lookup, batchCall(echoTool));
    const abort = new AbortController();
    const call = session.call("lookup", { id: 1 }, { signal: abort.signal });
    await turn();
    expect(lookup.stats().queuedItems).toBe(1);
    abort.abort();
    await expect(call).rejects.toThrow(/abort/i);
    await turn();
    expect(lookup.stats().queuedItems).toBe(0);
  });

  test("batch_call runs many calls with one request, in order, with progress", async () => {
    await using session = await connect(lookupBatcher(), batchCall(echoTool));
    const progress: Progress[] = [];
    const calls = range(10).map((id) => ({ name: "echo", arguments: { id } }));
    const result = await session.call(
      "batch_call",
      { calls },
      { onprogress: (each) => progress.push(each) },
    );
    const { results } = result.structuredContent as {
      results: { ok: boolean; result: TextToolResult }[];
    };
    expect(results.map(({ result: { content } }) => content[0]?.text)).toEqual(
      range(10).map((id) => `echo {"id":${id}}`),
    );
    expect(progress.length).toBeGreaterThan(0);
    expect(progress.every(({ total }) => total === 10)).toBe(true);
  });

  test("batch_call sends partial results, also when one of them cannot be sent", async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    const odd: Record<string, unknown> = {
      cyclic: { content: [], structuredContent: cyclic },
      bigint: { content: [], structuredContent: { n: 1n } },
      nothing: undefined,
      words: "words",
    };
    const callTool = async (name: string) =>
      (name in odd ? odd[name] : { content: [{ type: "text", text: name }] }) as ToolResult;
    await using session = await connect(lookupBatcher(), batchCall(callTool));
    const names = ["a", "cyclic", "bigint", "nothing", "words", "b"];
    const { structuredContent } = await session.call("batch_call", {
      calls: names.map((name) => ({ name })),
    });
    const failed = { ok: false, error: { code: "BATCHER_CALL_FAILED" } };
    expect(structuredContent).toMatchObject({
      results: [
        { ok: true, result: { content: [{ text: "a" }] } },
        failed,
        failed,
        failed,
        failed,
        { ok: true, result: { content: [{ text: "b" }] } },
      ],
    });
  });

  test("cancelling a batch_call over the wire aborts the calls under way and begins no others", async () => {
    const signals: AbortSignal[] = [];
    const hang = (_name: string, _args: unknown, { signal }: { readonly signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<never>(() => undefined);
    };
    await using session = await connect(lookupBatcher(), batchCall(hang, { concurrency: 2 }));
    const abort = new AbortController();
    const calls = range(5).map(() => ({ name: "hangs" }));
    const call = session.call("batch_call", { calls }, { signal: abort.signal });
    await turn();
    abort.abort();
    await expect(call).rejects.toThrow(/abort/i);
    await turn();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});

const outcomes = async (tool: BatchCallTool, ...args: Parameters<BatchCallTool["handler"]>) =>
  (await tool.handler(...args)).structuredContent?.["results"];

const moody = async (name: string): Promise<ToolResult> => {
  if (name === "throws") throw new Error("boom");
  if (name === "words") throw "words" as unknown as Error;
  return { content: [], ...(name === "fails" ? { isError: true } : {}) };
};

const allow = (name: string) => {
  if (name === "filter breaks") throw new Error("filter");
  return name !== "secret";
};

const brokenProgress = () => {
  throw new Error("progress broke");
};

describe("batch_call", () => {
  test("one failing call does not touch the others; nested and disallowed calls are refused", async () => {
    const names = [
      "fine",
      "throws",
      "words",
      "fails",
      "batch_call",
      "secret",
      "filter breaks",
      "fine",
    ];
    const tool = batchCall(moody, { allow });
    expect(await outcomes(tool, { calls: names.map((name) => ({ name })) })).toEqual([
      { ok: true, result: { content: [] } },
      { ok: false, error: { code: "BATCHER_CALL_FAILED", message: "boom" } },
      { ok: false, error: { code: "BATCHER_CALL_FAILED", message: "words" } },
      { ok: false, result: { content: [], isError: true } },
      { ok: false, error: expect.objectContaining({ code: "BATCHER_NESTED_CALL" }) },
      { ok: false, error: expect.objectContaining({ code: "BATCHER_CALL_REFUSED" }) },
      { ok: false, error: expect.objectContaining({ code: "BATCHER_CALL_REFUSED" }) },
      { ok: true, result: { content: [] } },
    ]);
  });

  test("when cancelled it gives back what there is, and begins nothing more", async () => {
    const abort = new AbortController();
    const signals: AbortSignal[] = [];
    const callTool = (
      name: string,
      _: unknown,
      { signal, index }: { signal: AbortSignal; index: number },
    ) => {
      signals.push(signal);
      return index === 0 ? echoTool(name, {}) : new Promise<never>(() => undefined);
    };
    const tool = batchCall(callTool, { concurrency: 2 });
    const running = outcomes(
      tool,
      { calls: range(5).map(() => ({ name: "slow" })) },
      { signal: abort.signal },
    );
    await turn();
    abort.abort();
    const results = (await running) as { ok: boolean; error?: { code: string } }[];
    expect(results.map(({ ok }) => ok)).toEqual([true, false, false, false, false]);
    expect(results.slice(1).every(({ error }) => error?.code === "BATCHER_CALL_CANCELLED")).toBe(
      true,
    );
    expect(signals).toHaveLength(3);
    expect(signals.slice(1).every(({ aborted }) => aborted)).toBe(true);
  });

  test("a call that never answers ends after callTimeoutMs, and no timer is left once its slot is free again", async () => {
    const time = new VirtualTime();
    let aborted = false;
    const callTool = (name: string, args: unknown, { signal }: { signal: AbortSignal }) => {
      if (name === "echo") return echoTool(name, args);
      signal.addEventListener("abort", () => (aborted = true));
      return new Promise<never>(() => undefined);
    };
    const tool = batchCall(callTool, { callTimeoutMs: 100, timers: time });
    const running = outcomes(tool, { calls: [{ name: "hangs" }, { name: "echo" }] });
    await time.advance(100);
    expect(await running).toMatchObject([
      { ok: false, error: { code: "BATCHER_CALL_TIMEOUT" } },
      { ok: true },
    ]);
    expect(aborted).toBe(true);
    await time.advance(100 * abandonedAfter);
    expect(time.armed).toBe(0);
  });

  test("no more than concurrency calls run at once, and a progress that throws breaks nothing", async () => {
    const warned = Promise.withResolvers<Error>();
    process.once("warning", warned.resolve);
    let running = 0;
    let peak = 0;
    const callTool = async (name: string) => {
      peak = Math.max(peak, ++running);
      await turn();
      running -= 1;
      return echoTool(name, {});
    };
    const tool = batchCall(callTool, { concurrency: 3 });
    const results = await outcomes(
      tool,
      { calls: range(9).map(() => ({ name: "echo" })) },
      { progress: brokenProgress },
    );
    expect(results).toHaveLength(9);
    expect(peak).toBe(3);
    expect((await warned.promise).message).toBe("progress broke");
  });

  test.each([
    ["no calls", {}],
    ["nothing", undefined],
    ["an empty list", { calls: [] }],
    ["too many", { calls: range(4).map(() => ({ name: "echo" })) }],
    ["a call without a name", { calls: [{ name: "echo" }, {}] }],
    ["arguments that are no object", { calls: [{ name: "echo", arguments: [1] }] }],
  ])("%s: wrong arguments are a tool error, and nothing is called", async (_, args) => {
    let called = 0;
    const tool = batchCall(
      async (name, given) => {
        called += 1;
        return echoTool(name, given);
      },
      { maxCalls: 3 },
    );
    const result = await tool.handler(args);
    expect(result).toMatchObject({ isError: true });
    expect(result.content[0]?.text).toMatch(/^BATCHER_CALL_ARGUMENTS: calls/);
    expect(called).toBe(0);
  });

  test("wrong options are refused", () => {
    expect(() => batchCall(echoTool, { maxCalls: 0 })).toThrow("maxCalls");
    expect(() => batchCall(echoTool, { concurrency: 0 })).toThrow("concurrency");
    expect(() => batchCall(echoTool, { callTimeoutMs: 0 })).toThrow("callTimeoutMs");
    expect(() => batchCall(1 as never)).toThrow("callTool");
  });
});

test("batch_call keeps no listener on the signal of the request", async () => {
  const { signal } = new AbortController();
  await batchCall(echoTool).handler({ calls: range(5).map(() => ({ name: "echo" })) }, { signal });
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

describe("batchTool", () => {
  test("items and results can be shaped, and a call can have a priority and a deadline", async () => {
    const seen: unknown[] = [];
    const handler = batchTool(
      {
        add: async (item: number, options) => {
          seen.push([item, options]);
          return item * 2;
        },
      },
      {
        toItem: ({ id }: { id: number }) => id,
        toResult: (result) => ({ content: [{ type: "text" as const, text: `got ${result}` }] }),
        itemOptions: () => ({ priority: 1, deadlineMs: 50 }),
      },
    );
    expect(await handler({ id: 4 })).toEqual({ content: [{ type: "text", text: "got 8" }] });
    expect(seen).toEqual([[4, { priority: 1, deadlineMs: 50 }]]);
  });

  test("plain results: text as it is, other values as JSON, objects structured as well", async () => {
    const handler = batchTool({ add: (item: unknown) => Promise.resolve(item) });
    expect(await handler("words")).toEqual({ content: [{ type: "text", text: "words" }] });
    expect(await handler([1, 2])).toEqual({ content: [{ type: "text", text: "[1,2]" }] });
    expect(await handler(undefined)).toEqual({ content: [{ type: "text", text: "" }] });
    expect(await handler({ a: 1 })).toEqual({
      content: [{ type: "text", text: '{"a":1}' }],
      structuredContent: { a: 1 },
    });
  });

  test("an overload says when to come back", async () => {
    const batcher = new BatchProcessor<number, number>(async (items) => [...items], {
      queueLimit: 1,
    });
    batcher.pause();
    const handler = batchTool<number, number, number>(batcher);
    const first = handler(1);
    expect(await handler(2)).toMatchObject({
      isError: true,
      _meta: { "mcp-accel/code": "BATCHER_OVERLOAD", "mcp-accel/retryAfterMs": 1_000 },
    });
    batcher.resume();
    await first;
  });
});

test("wrong options of batchTool are refused when it is made", () => {
  const batcher = { add: (item: unknown) => Promise.resolve(item) };
  expect(() => batchTool(undefined as never)).toThrow("batcher.add");
  expect(() => batchTool(batcher, null as never)).toThrow("options");
  expect(() => batchTool(batcher, { toItems: String } as never)).toThrow("toItems");
  expect(() => batchTool(batcher, { toItem: 1 as never })).toThrow("toItem");
  expect(() => batchCall(echoTool, { maxCall: 1 } as never)).toThrow("maxCall");
});

test("a way to notify that throws at once does not make progress fail", () => {
  const { progress } = requestContext({
    _meta: { progressToken: 1 },
    sendNotification: () => {
      throw new Error("closed");
    },
  });
  expect(() => progress?.(1, 2)).not.toThrow();
});

test("a client that has gone away does not make progress fail", async () => {
  const extra: HandlerExtra = {
    _meta: { progressToken: 1 },
    sendNotification: () => Promise.reject(new Error("closed")),
  };
  requestContext(extra).progress?.(1, 2);
  await turn();
  expect(requestContext(undefined)).toEqual({});
  expect(requestContext({ _meta: { progressToken: 1 } })).toEqual({});
});
