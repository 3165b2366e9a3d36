import { Client as ClientV2, InMemoryTransport as TransportV2 } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport as TransportV1 } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { describe, expect, test } from "vitest";
import { BatchProcessor } from "../src/index.ts";
import { batchTool } from "../src/mcp.ts";
import type { HandlerExtra } from "../src/mcp.ts";
import { turn } from "./support/virtual-time.ts";

type Handler = (context: HandlerExtra) => Promise<{ content: { type: "text"; text: string }[] }>;
type Call = (options?: { signal: AbortSignal }) => Promise<unknown>;

const info = { name: "test", version: "1.0.0" };
const tool = { name: "now", arguments: {} };

async function v1(handler: Handler): Promise<Call> {
  const server = new ServerV1(info);
  server.registerTool("now", { description: "no input" }, handler);
  const client = new ClientV1(info);
  const [ours, theirs] = TransportV1.createLinkedPair();
  await Promise.all([server.connect(theirs), client.connect(ours)]);
  return (options) => client.callTool(tool, undefined, options);
}

async function v2(handler: Handler): Promise<Call> {
  const server = new ServerV2(info);
  server.registerTool("now", { description: "no input" }, handler as never);
  const client = new ClientV2(info);
  const [ours, theirs] = TransportV2.createLinkedPair();
  await Promise.all([server.connect(theirs), client.connect(ours)]);
  return (options) => client.callTool(tool, options);
}

describe.each([
  ["v1", v1],
  ["v2", v2],
])("a tool without an inputSchema in the real %s McpServer", (_, connect) => {
  test("its item is an empty object, and nothing of the request's context", async () => {
    const items: unknown[] = [];
    const batcher = new BatchProcessor<object, string>(async (batch) => {
      items.push(...batch);
      return batch.map(() => "noon");
    });
    const call = await connect(batchTool(batcher));
    expect(await call()).toMatchObject({ content: [{ text: "noon" }] });
    expect(items).toEqual([{}]);
  });

  test("cancelling its request takes the item out of the queue", async () => {
    const batcher = new BatchProcessor<object, string>(async (batch) => batch.map(() => "noon"));
    batcher.pause();
    const call = await connect(batchTool(batcher));
    const abort = new AbortController();
    const result = call({ signal: abort.signal });
    await turn();
    expect(batcher.stats().queuedItems).toBe(1);
    abort.abort();
    await expect(result).rejects.toThrow(/abort/i);
    await turn();
    expect(batcher.stats().queuedItems).toBe(0);
  });
});

test("arguments that only look like a context are arguments", async () => {
  const handler = batchTool({ add: (item: unknown) => Promise.resolve(item) });
  for (const args of [
    { signal: "stop", sendNotification: "yes" },
    { mcpReq: { signal: {} } },
    { signal: new AbortController().signal },
  ])
    expect(await handler(args)).toMatchObject({ structuredContent: args });
});
