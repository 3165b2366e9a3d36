// A source that is down: what has expired stands in for it, what was invalidated does not.
import assert from "node:assert/strict";
import { EventCache, cacheKey } from "@mcp-accel/cache-events";

let nowMs = 0;
let price = 10;
let down = false;

const cache = new EventCache({ ttlMs: 1_000, staleIfErrorMs: 60_000, now: () => nowMs });
const key = cacheKey<number>("price", "sku-1");

const readPrice = (): Promise<number> =>
  cache.getOrSet(
    key,
    () => {
      if (down) throw new Error("the shop is down");
      return price;
    },
    { tags: ["prices"] },
  );

assert.equal(await readPrice(), 10);

price = 12;
down = true;
nowMs += 5_000;
assert.equal(await readPrice(), 10);

await cache.invalidateByTags(["prices"]);
await assert.rejects(readPrice(), /the shop is down/);

down = false;
assert.equal(await readPrice(), 12);

const { staleHits, loadErrors } = cache.stats();
console.log(`${staleHits} stale hit, ${loadErrors} failed loads`);
await cache.close();
