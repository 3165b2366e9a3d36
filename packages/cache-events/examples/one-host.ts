import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { EventCache } from "@mcp-accel/cache-events";
import { sqliteStore } from "@mcp-accel/cache-events/sqlite";

// Runs itself once more, with the folder as its argument, as a second process that changes the price.
const [given] = process.argv.slice(2);
const folder = given ?? (await mkdtemp(join(tmpdir(), "one-host-")));
const source = join(folder, "price.txt");

const store = sqliteStore({ path: join(folder, "cache.db") });
const cache = new EventCache({ store });
const price = (): Promise<string> =>
  cache.getOrSet("price:1", () => readFile(source, "utf8"), { tags: ["prices"] });

if (given === undefined) {
  await writeFile(source, "10");
  assert.equal(await price(), "10");
  assert.equal(cache.peek("price:1"), "10");

  const program = [...process.execArgv, import.meta.filename, folder];
  await promisify(execFile)(process.execPath, program);
  assert.equal(cache.peek("price:1"), undefined);
  assert.equal(await price(), "12");
  console.log("the change of the other process was seen by the first read after it");
} else {
  assert.equal(await price(), "10");
  assert.equal(cache.stats().hits, 1);
  await cache.write(["prices"], () => writeFile(source, "12"));
}

await cache.close();
await store.close();
if (given === undefined) await rm(folder, { recursive: true });
