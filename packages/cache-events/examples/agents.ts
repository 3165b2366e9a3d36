import assert from "node:assert/strict";
import { EventCache } from "@mcp-accel/cache-events";

const agents = ["ada"];

const cache = new EventCache({
  ttlMs: 60_000,
  rules: {
    agentCreated: ({ agentId }) => ["agents", `agent:${agentId}`],
  },
});

const listAgents = (): Promise<readonly string[]> =>
  cache.getOrSet("agents", () => [...agents], { tags: ["agents"] });

assert.deepEqual(await listAgents(), ["ada"]);
assert.equal(cache.peek("agents"), await listAgents());

agents.push("grace");
await cache.bus.emit({ type: "agentCreated", agentId: "grace" });
assert.deepEqual(await listAgents(), ["ada", "grace"]);

const { hits, misses, invalidations } = cache.stats();
console.log(`${hits} hits, ${misses} misses, ${invalidations} tags invalidated`);
await cache.close();
