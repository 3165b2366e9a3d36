// The five packages around a server that knows nothing of them: what its author adds, and what it then does.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";
import { BatchProcessor } from "@mcp-accel/batcher";
import { batchTool } from "@mcp-accel/batcher/mcp";
import { EventCache } from "@mcp-accel/cache-events";
import { cacheTools } from "@mcp-accel/cache-events/mcp";
import { PoolAgent, publicAddressesOnly } from "@mcp-accel/http-pool";
import { Metrics } from "@mcp-accel/metrics";
import { measureTools } from "@mcp-accel/metrics/mcp";
import { StreamGuard } from "@mcp-accel/stream-guard";
import { guardTransport } from "@mcp-accel/stream-guard/mcp";

const notes: string[] = [];
let inserts = 0;
async function insertMany(texts: readonly string[]): Promise<number[]> {
  inserts += 1;
  return texts.map((text) => notes.push(text));
}

const server = new McpServer({ name: "notes", version: "1.0.0" });
const [clientSide, transport] = InMemoryTransport.createLinkedPair();

// #region cache-events
const cache = new EventCache();
cacheTools(server, cache, {
  tools: { add_note: { invalidates: ["notes"] }, list_notes: { tags: ["notes"] } },
});
// #endregion

// #region metrics
const metrics = new Metrics();
measureTools(server, metrics);
metrics.collect(cache);
// #endregion

// #region batcher
const batcher = new BatchProcessor<string, number>(insertMany);
const addNote = batchTool(batcher, { toItem: ({ text }: { text: string }) => text });
server.registerTool("add_note", { inputSchema: { text: z.string() } }, addNote);
// #endregion

// #region http-pool
const agent = new PoolAgent({ allowAddress: publicAddressesOnly });
server.registerTool("read_page", { inputSchema: { url: z.url() } }, async ({ url }) => {
  const page = await agent.fetch(url);
  return { content: [{ type: "text", text: await page.text() }] };
});
// #endregion

server.registerTool("list_notes", { annotations: { readOnlyHint: true } }, () => ({
  content: [{ type: "text", text: JSON.stringify(notes) }],
}));

// #region stream-guard
const guard = new StreamGuard({ sessionMaxMemoryBytes: 1 << 20 });
await server.connect(guardTransport(transport, guard));
// #endregion

const client = new Client({ name: "example", version: "1.0.0" });
await client.connect(clientSide);
const call = async (name: string, args = {}) => client.callTool({ name, arguments: args });

await Promise.all(["a", "b", "c"].map((text) => call("add_note", { text })));
assert.equal(inserts, 1);

for (let read = 0; read < 10; read += 1) await call("list_notes");
assert.equal(cache.stats().hits, 9);

await call("add_note", { text: "d" });
const { content } = await call("list_notes");
assert.deepEqual(content, [{ type: "text", text: JSON.stringify(["a", "b", "c", "d"]) }]);
assert.equal((await call("read_page", { url: "http://127.0.0.1:1/" })).isError, true);

const { body } = await metrics.exposition();
assert.match(body, /^cache_hits_total\{[^}]*\} 9$/m);
assert.match(body, /gen_ai_tool_name="add_note"[^}]*\} 4$/m);
console.log(
  `3 notes in 1 insert, 9 of 10 reads from the cache, and the read after a write sees it`,
);

await client.close();
await Promise.all([cache.close(), batcher.close(), agent.close(), guard.close()]);
metrics.close();
