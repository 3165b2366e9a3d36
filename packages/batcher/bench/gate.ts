// The hot paths whose instructions are counted against a baseline (`npm run gate`).
import { BatchProcessor } from "@mcp-accel/batcher";

const ITEMS = Array.from({ length: 1_000 }, (_, index) => index);
const batcher = new BatchProcessor<number, number>(async (batch) => [...batch], {
  adaptiveSizing: false,
  now: () => 1_000,
});

export const operations = {
  "add, an item in a burst of 1,000": {
    iterations: 100_000,
    run: async (iterations: number): Promise<void> => {
      for (let done = 0; done < iterations; done += ITEMS.length)
        await Promise.all(ITEMS.map((item) => batcher.add(item)));
    },
  },
  "processBatch, an item of 1,000": {
    iterations: 100_000,
    run: async (iterations: number): Promise<void> => {
      for (let done = 0; done < iterations; done += ITEMS.length) await batcher.processBatch(ITEMS);
    },
  },
};
