// How many items a second does a bulk endpoint on the loopback take that limits bodies (413) and calls at once (429)?
import { fork } from "node:child_process";
import { once } from "node:events";
import { BatchProcessor } from "@mcp-accel/batcher";
import type { BatchProcessorOptions } from "@mcp-accel/batcher";
import { report } from "./report.ts";
import { race } from "./throughput.ts";

interface Item {
  readonly id: number;
  readonly text: string;
}

const server = fork(new URL("http-server.ts", import.meta.url));
const [port] = (await once(server, "message")) as [number];
const text = "some text of the usual length".repeat(3);
const rows = await race(
  [
    { name: "fixed 100 x 4", batcher: sender({ adaptiveSizing: false }), outstanding: 2_000 },
    {
      name: "adaptive, up to 2,000 x 16",
      batcher: sender({ maxBatchSize: 2_000, maxConcurrentBatches: 16 }),
      outstanding: 10_000,
    },
    {
      name: "one by one, 4 at once",
      batcher: sender({ adaptiveSizing: false, maxBatchSize: 1 }),
      outstanding: 40,
    },
  ],
  {
    item: (id): Item => ({ id, text }),
    warmUpMs: 4_000,
    rounds: 7,
    roundMs: 700,
  },
);
server.disconnect();
report([
  {
    title:
      "Items sent to a bulk endpoint in another process: 8 ms a call, bodies up to 64 KiB, 8 calls at once; ratio: throughput against fixed 100 x 4",
    rows,
  },
]);

function sender(options: BatchProcessorOptions<Item>): BatchProcessor<Item, unknown> {
  return new BatchProcessor<Item, unknown>(post, {
    queueLimit: 20_000,
    idempotent: true,
    maxAttempts: 10,
    retryBudgetRatio: 1,
    retryBackoffMs: 10,
    matches: ({ id }, value) => value === id,
    ...options,
  });
}

async function post(items: readonly Item[]): Promise<unknown[]> {
  const response = await fetch(`http://127.0.0.1:${port}/bulk`, {
    method: "POST",
    body: JSON.stringify(items),
  });
  if (!response.ok) {
    await response.body?.cancel();
    const { headers, status } = response;
    throw Object.assign(new Error(`HTTP ${status}`), { status, headers });
  }
  return (await response.json()) as unknown[];
}
