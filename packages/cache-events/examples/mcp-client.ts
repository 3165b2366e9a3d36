import assert from "node:assert/strict";
import { EventCache } from "@mcp-accel/cache-events";
import { responseCacheStore } from "@mcp-accel/cache-events/mcp";
import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

let reads = 0;
function shop(): McpServer {
  const server = new McpServer(
    { name: "shop", version: "1.0.0" },
    { capabilities: { resources: { subscribe: true } } },
  );
  const cacheHint = { ttlMs: 60_000, cacheScope: "private" } as const;
  server.registerResource("stock", "shop://stock", { cacheHint }, () => ({
    contents: [{ uri: "shop://stock", text: `read ${++reads}` }],
  }));
  return server;
}

const cache = new EventCache();

async function connect(principal: string): Promise<Client> {
  const store = responseCacheStore(cache, {
    server: "https://shop.example/mcp",
    principal,
    tags: ({ params }) => (params === "shop://stock" ? ["stock"] : []),
  });
  const client = new Client(
    { name: "example", version: "1.0.0" },
    { responseCacheStore: store, versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  serveStdio(shop, { transport: ours });
  await client.connect(theirs);
  return client;
}

const [desk, phone, other] = [await connect("ada"), await connect("ada"), await connect("grace")];
const stock = async (client: Client): Promise<unknown> => {
  const { contents } = await client.readResource({ uri: "shop://stock" });
  return contents.map((content) => ("text" in content ? content.text : ""))[0];
};

assert.equal(await stock(desk), "read 1");
assert.equal(await stock(phone), "read 1");
assert.equal(await stock(other), "read 2");

await cache.invalidateByTags(["stock"]);
assert.equal(await stock(phone), "read 3");
assert.equal(await stock(desk), "read 3");

for (const client of [desk, phone, other]) await client.close();
console.log(`the server was read ${reads} times for five reads of three clients`);
await cache.close();
