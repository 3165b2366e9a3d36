// The same server as before, with a transport whose outgoing messages have a bounded memory.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";

const guard = new StreamGuard({ sessionMaxMemoryBytes: 64 * 1024 });
const server = new McpServer({ name: "example", version: "1.0.0" });
server.registerTool("small", {}, () => ({ content: [{ type: "text", text: "fine" }] }));
server.registerTool("huge", {}, () => ({ content: [{ type: "text", text: "x".repeat(1 << 20) }] }));

const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
await server.connect(guardTransport(serverSide, guard));

const client = new Client({ name: "client", version: "1.0.0" });
await client.connect(clientSide);
await assert.rejects(client.callTool({ name: "huge" }), /the session may hold 65536/);
const result = await client.callTool({ name: "small" });
assert.deepEqual(result.content, [{ type: "text", text: "fine" }]);
assert.ok(guard.stats().peakBytes <= 64 * 1024);
console.log("the huge response became an error, the small one arrived");

await client.close();
await guard.close();
assert.equal(guard.stats().sessions, 0);
