import { setImmediate } from "node:timers/promises";
import { BatchProcessor } from "@mcp-accel/batcher";
import type { Config } from "../config/options.ts";
import type { SwarmStore } from "../swarm/store.ts";
import type { NewTask, Task } from "../swarm/types.ts";
import type { BulkOptions, BulkService } from "../tools/services.ts";
import type { Feature } from "./feature.ts";

/** Tasks assigned at the same time share a transaction; `batch_call` runs its calls several at a time. */
export function batchFeature(config: Config, store: SwarmStore): Feature & BulkService {
  const assignments = new BatchProcessor<NewTask, Task>(
    async (tasks) => {
      // SQLite does not let other work in while it writes; between two batches it gets its turn.
      await setImmediate();
      return store.assignTasks(tasks);
    },
    {
      maxBatchSize: config["batch.maxSize"],
      maxConcurrentBatches: 1,
    },
  );
  return {
    assign: (task, signal) => assignments.add(task, { signal }),
    assignAll: (tasks, options) => assignments.processBatch(tasks, undefined, options),
    runAll: (calls, options) => runAll(calls, options, config["batch.maxConcurrent"]),
    stats: () => assignments.stats(),
    collectables: [assignments],
    [Symbol.asyncDispose]: () => assignments.close(),
  };
}

/** Every tool has a bound of its own below this; a call given up while it writes would lose its outcome. */
const CALL_TIMEOUT_MS = 600_000;

type Call = (signal: AbortSignal) => Promise<object>;

/** A processor of its own for every request: one caller's long calls do not hold up another's. */
async function runAll(
  calls: readonly Call[],
  options: BulkOptions,
  concurrency: number,
): Promise<readonly PromiseSettledResult<object>[]> {
  const processor = new BatchProcessor<Call, object>(
    (batch, { signal }) => Promise.allSettled(batch.map((call) => call(signal))),
    {
      maxBatchSize: 1,
      maxConcurrentBatches: concurrency,
      adaptiveSizing: false,
      batchTimeoutMs: CALL_TIMEOUT_MS,
    },
  );
  try {
    return await processor.processBatch(calls, undefined, options);
  } finally {
    await processor.close();
  }
}
