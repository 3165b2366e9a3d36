import assert from "node:assert/strict";
import { BatchItemError, BatchProcessor } from "@mcp-accel/batcher";

const rows = new Map<number, string>();
let calls = 0;

/** Stands for one INSERT with many rows, or one POST to a bulk endpoint. */
async function insert(items: readonly { id: number; name: string }[]): Promise<(number | Error)[]> {
  calls += 1;
  return items.map(({ id, name }) => {
    if (rows.has(id)) return new BatchItemError(`row ${id} exists`);
    rows.set(id, name);
    return id;
  });
}

const batcher = new BatchProcessor(insert, { maxBatchSize: 50 });

// From anywhere in the program, one by one: 100 items, 2 calls.
const ids = await Promise.all(
  Array.from({ length: 100 }, (_, id) => batcher.add({ id, name: `name ${id}` })),
);
assert.equal(ids.length, 100);
assert.equal(calls, 2);

// One bad item does not fail its neighbours.
const results = await batcher.processBatch([
  { id: 7, name: "again" },
  { id: 100, name: "new" },
]);
assert.deepEqual(
  results.map(({ status }) => status),
  ["rejected", "fulfilled"],
);
console.log(`${rows.size} rows in ${calls} calls`);
await batcher.close();
