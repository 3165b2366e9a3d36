import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { isMainThread, threadId } from "node:worker_threads";
import { BatchProcessor } from "@mcp-accel/batcher";
import { Piscina } from "piscina";

/** CPU-bound work on a whole batch. Runs in a worker, one message each way for all of it. */
export function digest(texts: readonly string[]): { hash: string; thread: number }[] {
  return texts.map((text) => {
    let hash = text;
    for (let round = 0; round < 200; round++)
      hash = createHash("sha256").update(hash).digest("hex");
    return { hash, thread: threadId };
  });
}

// The workers load this file, too, for `digest`.
if (isMainThread) await main();

async function main(): Promise<void> {
  const threads = 2;
  const pool = new Piscina({
    filename: import.meta.filename,
    name: "digest",
    minThreads: threads,
    maxThreads: threads,
  });
  // A batch for each thread, and one that is ready when it ends. The signal ends a worker whose answer nobody waits for.
  const batcher = new BatchProcessor<string, { hash: string; thread: number }>(
    (texts, { signal }) => pool.run([...texts], { signal }),
    { maxBatchSize: 25, maxConcurrentBatches: threads + 1, idempotent: true },
  );

  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  const texts = Array.from({ length: 1_000 }, (_, index) => `text ${index}`);
  const results = await Promise.all(texts.map((text) => batcher.add(text)));
  clearInterval(ticking);

  const [first] = digest(["text 0"]);
  assert.equal(results[0]?.hash, first?.hash);
  assert.equal(new Set(results.map(({ hash }) => hash)).size, 1_000);
  const used = new Set(results.map(({ thread }) => thread));
  assert.ok(!used.has(threadId), "the main thread hashed");
  assert.ok(turns > 0, "the main thread was blocked");
  const calls = batcher.stats().batches.ok;
  assert.ok(calls <= 200, `${calls} messages to the workers`);

  // Who does not want to wait any more leaves the queue, and no worker hears of it.
  const abort = new AbortController();
  const dropped = batcher.add("nobody waits for this", { signal: abort.signal });
  abort.abort();
  await assert.rejects(dropped, { name: "AbortError" });

  await batcher.close();
  await pool.destroy();
  console.log(`1000 items in ${calls} messages to ${used.size} threads`);
}
