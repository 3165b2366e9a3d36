// A stdio server whose input and output are bounded. Here its client sends a line without an end.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { BoundedLines, guardTransport } from "@mcp-accel/stream-guard/mcp";

// A real server has process.stdin and process.stdout here.
const stdin = new PassThrough();
const stdout = new PassThrough();

const guard = new StreamGuard();
const session = guard.open({ idleTimeoutMs: 2 ** 31 - 1 });
const input = new BoundedLines(stdin, session, {
  maxLineBytes: 1 << 20,
  onDropped: (error) => console.log(error.message),
});
const stdio = new StdioServerTransport(input, stdout);
const server = new McpServer({ name: "example", version: "1.0.0" });
await server.connect(guardTransport(stdio, guard, { session, destination: stdout }));

const answer = new Promise<string>((resolve) => {
  stdout.once("data", (line: Buffer) => resolve(line.toString()));
});
for (let chunk = 0; chunk < 64; chunk += 1) stdin.write("x".repeat(64 * 1024));
stdin.write(`\n${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })}\n`);
assert.deepEqual(JSON.parse(await answer), { jsonrpc: "2.0", id: 1, result: {} });
assert.ok(guard.stats().peakBytes <= 2 << 20);

await server.close();
assert.equal(guard.stats().sessions, 0);
