// The hot paths whose instructions are counted against a baseline (`npm run gate`).
import { EventCache } from "@mcp-accel/cache-events";

const KEYS = Array.from({ length: 100 }, (_, index) => `user:${index}`);
const cache = new EventCache({ now: () => 1_000 });
for (const key of KEYS) await cache.set(key, { key }, { tags: [key, "users"] });

const load = async (): Promise<object> => ({});

export const operations = {
  "peek, hit": {
    iterations: 200_000,
    run: (iterations: number): void => {
      for (let index = 0; index < iterations; index += 1) cache.peek(KEYS[index % 100] ?? "");
    },
  },
  "getOrSet, hit": {
    iterations: 50_000,
    run: async (iterations: number): Promise<void> => {
      for (let index = 0; index < iterations; index += 1)
        await cache.getOrSet(KEYS[index % 100] ?? "", load);
    },
  },
  "set with two tags, invalidate one": {
    iterations: 10_000,
    run: async (iterations: number): Promise<void> => {
      for (let index = 0; index < iterations; index += 1) {
        await cache.set("order", index, { tags: ["orders", "order"] });
        await cache.invalidateByTags(["order"]);
      }
    },
  },
};
