// How many rows a second reach a SQLite file that is synced at every commit: adaptive against fixed 100 x 4 and one by one?
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BatchProcessor } from "@mcp-accel/batcher";
import type { BatchProcessorOptions } from "@mcp-accel/batcher";
import { report } from "./report.ts";
import { race } from "./throughput.ts";

const folder = mkdtempSync(join(tmpdir(), "batcher-sqlite-"));
const databases: DatabaseSync[] = [];
try {
  const rows = await race(
    [
      {
        name: "fixed 100 x 4",
        batcher: inserter("fixed", { adaptiveSizing: false }),
        outstanding: 2_000,
      },
      {
        name: "adaptive, up to 5,000 x 4",
        batcher: inserter("adaptive", { maxBatchSize: 5_000 }),
        outstanding: 10_000,
      },
      ...[500, 2_000, 5_000].map((size) => ({
        name: `fixed ${size} x 1`,
        batcher: inserter(`fixed-${size}`, {
          adaptiveSizing: false,
          maxBatchSize: size,
          maxConcurrentBatches: 1,
        }),
        outstanding: 10_000,
      })),
      {
        name: "one by one",
        batcher: inserter("single", { adaptiveSizing: false, maxBatchSize: 1 }),
        outstanding: 40,
      },
    ],
    {
      item: (index) => `row ${index} with some text in it`,
      warmUpMs: 3_000,
      rounds: 7,
      roundMs: 700,
    },
  );
  report([
    {
      title:
        "Rows inserted into a SQLite file (WAL, synchronous = FULL), a transaction for each batch; ratio: throughput against fixed 100 x 4",
      rows,
    },
  ]);
} finally {
  for (const database of databases) database.close();
  rmSync(folder, { recursive: true });
}

function inserter(
  name: string,
  options: BatchProcessorOptions<string>,
): BatchProcessor<string, unknown> {
  const database = new DatabaseSync(join(folder, `${name}.db`));
  databases.push(database);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
  const insert = database.prepare("INSERT INTO rows (text) VALUES (?)");
  return new BatchProcessor<string, unknown>(
    async (texts) => {
      database.exec("BEGIN IMMEDIATE");
      const ids = texts.map((text) => insert.run(text).lastInsertRowid);
      database.exec("COMMIT");
      return ids;
    },
    { queueLimit: 20_000, ...options },
  );
}
