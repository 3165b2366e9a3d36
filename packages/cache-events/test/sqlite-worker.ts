import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { EventCache } from "../src/index.ts";
import type { FileStamps } from "../src/sqlite-place.ts";
import { PlaceLock, SqlitePlace } from "../src/sqlite-place.ts";
import { sqliteStore } from "../src/sqlite.ts";

// One of several processes on one file, which does what it is told: `node sqlite-worker.ts <file> <bug>`.

export interface WorkerOrder {
  readonly what: "read" | "invalidate" | "work" | "close" | "leave";
  /** What a compute returns. */
  readonly value?: string;
}

const [path = "", bug = "none"] = process.argv.slice(2);

// Bugs that the suite must be able to see: all take the file that there is for complete, the first does not look at the others either.
if (bug !== "none")
  Object.assign(PlaceLock.prototype, {
    keepOrCreate(): readonly undefined[] {
      closeSync(openSync(path, "a", 0o600));
      return [];
    },
  });
if (bug === "only the file is looked at") {
  const has: unknown = Reflect.get(SqlitePlace.prototype, "has");
  Object.assign(SqlitePlace.prototype, {
    has(this: SqlitePlace, [main]: FileStamps): unknown {
      return Reflect.apply(has as () => unknown, this, [[main]]);
    },
  });
}

const store = sqliteStore({ path });
const cache = new EventCache({ store, ttlMs: 600_000 });

async function obey({ what, value }: WorkerOrder): Promise<string> {
  if (what === "read") return cache.getOrSet("k", () => value ?? "", { tags: ["t"] });
  if (what === "invalidate") await cache.invalidateByTags(["t"]);
  if (what === "work") void work();
  if (what === "close") await store.close();
  return "done";
}

async function work(): Promise<never> {
  for (let count = 0; ; count++) {
    await cache.getOrSet(`w${count % 9}`, () => count, { tags: ["u"] });
    if (count % 3 === 0) await cache.invalidateByTags(["u"]).catch(() => {});
    if (count % 20 === 0) await new Promise(setImmediate);
  }
}

process.on("message", (order: WorkerOrder) => {
  if (order.what === "leave") return process.disconnect();
  obey(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.(String(error)),
  );
});
process.send?.("ready");
await once(process, "disconnect");
