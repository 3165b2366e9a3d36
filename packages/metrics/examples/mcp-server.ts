import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";
import { Metrics } from "@mcp-accel/metrics";
import { measureTools } from "@mcp-accel/metrics/mcp";

const server = new McpServer({ name: "calculator", version: "1.0.0" });
const metrics = new Metrics();
measureTools(server, metrics, { transport: "stdio" });

server.registerTool("halve", { inputSchema: { even: z.number().multipleOf(2) } }, ({ even }) => ({
  content: [{ type: "text", text: String(even / 2) }],
}));

const client = new Client({ name: "example", version: "1.0.0" });
const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(serverSide), client.connect(clientSide)]);
await client.callTool({ name: "halve", arguments: { even: 42 } });
await client.callTool({ name: "halve", arguments: { even: 7 } });
await client.callTool({ name: "rm -rf /" });

const { body } = await metrics.exposition();
const counts = body.split("\n").filter((line) => line.includes("operation_duration_seconds_count"));
assert.equal(counts.length, 3);
assert.match(counts[0] ?? "", /gen_ai_tool_name="halve",network_transport="pipe"\} 1$/);
assert.match(
  counts[1] ?? "",
  /gen_ai_tool_name="halve",error_type="tool_error",network_transport="pipe"\} 1$/,
);
assert.match(
  counts[2] ?? "",
  /gen_ai_tool_name="_OTHER",error_type="tool_error",network_transport="pipe"\} 1$/,
);
console.log(counts.join("\n"));

await client.close();
await server.close();
metrics.close();
