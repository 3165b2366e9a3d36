import assert from "node:assert/strict";
import { EventCache } from "@mcp-accel/cache-events";
import { Keyv } from "keyv";

// Two caches stand for two processes; between real ones the store is Redis, PostgreSQL or any other that Keyv can use.
const store = new Map<string, unknown>();
const reader = new EventCache({ store: new Keyv({ store }) });
const writer = new EventCache({ store: new Keyv({ store }) });

let price = 10;
const read = (cache: EventCache): Promise<number> =>
  cache.getOrSet("price:1", () => price, { tags: ["prices"] });

assert.equal(await read(reader), 10);
assert.equal(await read(writer), 10);
assert.equal(writer.stats().hits, 1);

await writer.write(["prices"], () => {
  price = 12;
});
assert.equal(await read(reader), 12);
console.log("the reader saw the writer's change in its first read after it");
await Promise.all([reader.close(), writer.close()]);
