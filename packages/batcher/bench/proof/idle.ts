import { BatchProcessor } from "../../src/index.ts";
import { VirtualTime } from "../../test/support/virtual-time.ts";
import { Random } from "./random.ts";

const callMs = 5;

export interface LingerCost {
  readonly lingerMs: number;
  /** Virtual ms between items, on average. */
  readonly everyMs: number;
  /** The 99th percentile of what an item takes beyond the call itself, in virtual ms. */
  readonly addedP99Ms: number;
  readonly itemsPerCall: number;
}

/**
 * What `lingerMs` costs and brings at a light load: items come one by one at random (exponential gaps), calls take 5 ms whatever
 * their size. The work of adding is not in it: the clock is virtual.
 */
export async function lingerCost(
  lingerMs: number,
  everyMs: number,
  items: number,
): Promise<LingerCost> {
  const time = new VirtualTime();
  const random = new Random(1);
  let calls = 0;
  const batcher = new BatchProcessor<number, number>(
    async (batch) => {
      calls += 1;
      await time.delay(callMs);
      return [...batch];
    },
    { lingerMs, now: time.now, timers: time },
  );
  const added: number[] = [];
  for (let item = 0; item < items; item++) {
    const since = time.now();
    void batcher.add(item).then(() => added.push(time.now() - since - callMs));
    await time.advance(-Math.log(1 - random.uniform()) * everyMs);
  }
  await time.advance(1_000);
  await batcher.close();
  const sorted = added.toSorted((one, other) => one - other);
  const addedP99Ms = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Infinity;
  return { lingerMs, everyMs, addedP99Ms, itemsPerCall: items / calls };
}
