// A server that keeps its transports in a map of its own, as the SDKs' examples do, with SDK v2.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import { McpServer } from "@modelcontextprotocol/server";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { answerAdmission, BoundedEventStore, guardTransport } from "@mcp-accel/stream-guard/mcp";

const guard = new StreamGuard({ maxSessions: 1 });
const transports = new Map<string, NodeStreamableHTTPServerTransport>();

async function open(): Promise<NodeStreamableHTTPServerTransport> {
  const session = guard.open();
  session.onClose(() => transports.delete(session.id));
  const plain = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => session.id,
    eventStore: new BoundedEventStore(session),
    onsessioninitialized: (id) => void transports.set(id, transport),
  });
  const transport = guardTransport(plain, guard, { session });
  await new McpServer({ name: "example", version: "1.0.0" }).connect(transport);
  return transport;
}

const server = createServer(async (request, response) => {
  const id = request.headers["mcp-session-id"];
  try {
    const transport = id === undefined ? await open() : transports.get(String(id));
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(request, response);
  } catch (error) {
    if (!answerAdmission(response, error)) response.writeHead(500).end();
  }
});

server.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;

function initialize(): Promise<Response> {
  const clientInfo = { name: "client", version: "1.0.0" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  return fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: randomUUID(), method: "initialize", params }),
  });
}

const admitted = await initialize();
assert.equal(admitted.status, 200);
const refused = await initialize();
assert.equal(refused.status, 503);
assert.equal(refused.headers.get("retry-after"), "1");
const headers = { "mcp-session-id": admitted.headers.get("mcp-session-id") ?? randomUUID() };
assert.equal((await fetch(url, { method: "DELETE", headers })).status, 200);
assert.equal((await initialize()).status, 200);
console.log("the second session was refused while the first was open");

await guard.close();
server.closeAllConnections();
server.close();
