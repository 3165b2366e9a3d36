import assert from "node:assert/strict";
import { createClient } from "@redis/client";
import { EventCache } from "@mcp-accel/cache-events";
import { redisStore } from "@mcp-accel/cache-events/redis";

// Two stores stand for two replicas of a service. Without a Redis there is nothing to show.
const url = process.env["REDIS_URL"];
if (url === undefined) {
  console.log("skipped: REDIS_URL names no Redis");
  process.exit();
}

const stores = [1, 2].map(() => redisStore({ client: createClient({ url }) }));
const [here, there] = stores.map(
  (store) =>
    new EventCache({
      store,
      consistency: "mirrored",
      rules: { agentCreated: ({ agentId }) => ["agents", `agent:${agentId}`] },
    }),
) as [EventCache, EventCache];
await Promise.all(stores.map((store) => store.ready()));

const agents = ["ada"];
const list = (cache: EventCache): Promise<readonly string[]> =>
  cache.getOrSet("agents", () => [...agents], { tags: ["agents"] });

assert.deepEqual(await list(here), ["ada"]);
assert.deepEqual(await list(there), ["ada"]);

const heard = new Promise<string>((resolve) => {
  there.bus.on("agentCreated", ({ agentId }) => resolve(agentId));
});
agents.push("grace");
await here.bus.emit({ type: "agentCreated", agentId: "grace" });
assert.deepEqual(await list(here), ["ada", "grace"]);

assert.equal(await heard, "grace");
assert.deepEqual(await list(there), ["ada", "grace"]);
console.log("the other replica heard of it and read afresh");

await Promise.all([here.close(), there.close()]);
await Promise.all(stores.map((store) => store.close()));
