import assert from "node:assert/strict";
import { EventCache } from "@mcp-accel/cache-events";
import { cacheTools } from "@mcp-accel/cache-events/mcp";
import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { McpServer } from "@modelcontextprotocol/server";

let runs = 0;
const server = new McpServer({ name: "shop", version: "1.0.0" });
server.registerTool("list_orders", { annotations: { readOnlyHint: true } }, () => ({
  content: [{ type: "text", text: `run ${++runs}` }],
}));
server.registerTool("add_order", {}, () => ({ content: [{ type: "text", text: "added" }] }));

const cache = new EventCache();
const caching = cacheTools(server, cache);

const client = new Client({ name: "example", version: "1.0.0" });
const [ours, theirs] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(ours), client.connect(theirs)]);

const listOrders = async (): Promise<unknown> => {
  const { content } = await client.callTool({ name: "list_orders" });
  return content;
};

assert.deepEqual(await listOrders(), [{ type: "text", text: "run 1" }]);
assert.deepEqual(await listOrders(), [{ type: "text", text: "run 1" }]);
await client.callTool({ name: "add_order" });
assert.deepEqual(await listOrders(), [{ type: "text", text: "run 2" }]);

caching[Symbol.dispose]();
assert.deepEqual(await listOrders(), [{ type: "text", text: "run 3" }]);
await client.close();
console.log("list_orders ran twice for three calls, and once more without the cache");
await cache.close();
