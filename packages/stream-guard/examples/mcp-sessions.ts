// Sessions of a Streamable HTTP server: bounded in number and memory, closed when idle, resumable.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { SessionMap } from "@mcp-accel/stream-guard/mcp";

function mcpServer(): McpServer {
  const server = new McpServer({ name: "example", version: "1.0.0" });
  server.registerTool("small", {}, () => ({ content: [{ type: "text", text: "fine" }] }));
  return server;
}

const guard = new StreamGuard({ maxSessions: 2, sessionMaxMemoryBytes: 1 << 20 });
const sessions = new SessionMap<StreamableHTTPServerTransport>(guard, {
  transport: (options) => new StreamableHTTPServerTransport(options),
  connect: (transport) => mcpServer().connect(transport),
  events: { maxEvents: 100 },
});
const server = createServer((request, response) => {
  void sessions.handleRequest(request, response);
});

server.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);

async function connected(): Promise<Client> {
  const client = new Client({ name: "client", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(url));
  return client;
}

const [first, second] = [await connected(), await connected()];
await assert.rejects(connected(), /2 sessions are open/);
await guard.sessions()[0]?.close("idle");
await assert.rejects(first.callTool({ name: "small" }), /Session not found/);
const again = await connected();
const { content } = await again.callTool({ name: "small" });
assert.deepEqual(content, [{ type: "text", text: "fine" }]);
console.log("a third client was refused, and admitted when a session had ended");

for (const client of [first, second, again]) await client.close();
await sessions.close();
await guard.close();
server.closeAllConnections();
server.close();
