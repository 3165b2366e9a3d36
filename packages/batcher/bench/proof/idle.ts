import { BatchProcessor } from "../../src/index.ts";
import { VirtualTime } from "../../test/support/virtual-time.ts";

const callMs = 5;
const everyMs = 40;

/** The 99th percentile, in virtual ms, of what a batcher with nothing else to do adds to the call of a lone item. */
export async function addedWhenIdle(items: number): Promise<number> {
  const time = new VirtualTime();
  const batcher = new BatchProcessor<number, number>(
    async (batch) => {
      await time.delay(callMs);
      return [...batch];
    },
    { maxBatchSize: 1_000, maxConcurrentBatches: 32, lingerMs: 20, now: time.now, timers: time },
  );
  const added: number[] = [];
  for (let item = 0; item < items; item++) {
    const since = time.now();
    const done = batcher.add(item).then(() => added.push(time.now() - since - callMs));
    await time.advance(everyMs);
    await done;
  }
  await batcher.close();
  return (
    added.toSorted((one, other) => one - other)[Math.ceil(added.length * 0.99) - 1] ?? Infinity
  );
}
