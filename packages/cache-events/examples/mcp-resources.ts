import assert from "node:assert/strict";
import { EventCache } from "@mcp-accel/cache-events";
import { cacheResults, notifyChanges } from "@mcp-accel/cache-events/mcp";
import { Client, InMemoryTransport } from "@modelcontextprotocol/client";
import { McpServer } from "@modelcontextprotocol/server";

const agents = ["ada"];
const server = new McpServer(
  { name: "swarm", version: "1.0.0" },
  { capabilities: { resources: { subscribe: true } } },
);
server.registerResource("agents", "swarm://agents", {}, () => ({
  contents: [{ uri: "swarm://agents", text: agents.join(", ") }],
}));

const cache = new EventCache({ rules: { agentCreated: () => ["agents"] } });
cacheResults(server, cache, {
  results: { "resources/list": {}, "resources/read": { tags: ["agents"] } },
});
notifyChanges(server, cache, { notify: { agents: { resources: ["swarm://agents"] } } });

const client = new Client({ name: "example", version: "1.0.0" });
const [ours, theirs] = InMemoryTransport.createLinkedPair();
await Promise.all([server.connect(ours), client.connect(theirs)]);
const read = async (): Promise<unknown> => {
  const { contents } = await client.readResource({ uri: "swarm://agents" });
  return contents.map((content) => ("text" in content ? content.text : ""))[0];
};
const updated = new Promise<string>((resolve) => {
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
    resolve(params.uri);
  });
});

await client.subscribeResource({ uri: "swarm://agents" });
assert.equal(await read(), "ada");
agents.push("grace");
assert.equal(await read(), "ada");
await cache.bus.emit({ type: "agentCreated", agentId: "grace" });
assert.equal(await updated, "swarm://agents");
assert.equal(await read(), "ada, grace");

await client.close();
console.log("the client was told, and read the new agents");
await cache.close();
