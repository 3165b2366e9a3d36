import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import { startServer } from "./support/servers.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const PAGE_BYTES = 4_096;
const objects = [
  ...["swarms", "agents", "tasks"].map((name) => ["TABLE", name]),
  ...["agents_by_load", "agents_by_swarm_load", "tasks_by_agent", "tasks_by_swarm"].map((name) => [
    "INDEX",
    name,
  ]),
] as [string, string][];

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(async () => {
  folder = temporaryFolder();
  file = join(folder.path, "swarm.db");
  const store = new SqliteSwarmStore(file);
  await store.createSwarm({ name: "s", goal: "", size: 100 });
  await store.assignTasks(Array.from({ length: 100 }, (_, index) => ({ title: `t${index}` })));
  await store[Symbol.asyncDispose]();
});
afterEach(() => folder.remove());

const open = (path: string) => (): unknown => new SqliteSwarmStore(path);

function drop(kind: string, name: string): void {
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA foreign_keys = OFF; DROP ${kind} ${name}`);
  db.close();
}

describe("a file of ours", () => {
  test.each(objects)("without its %s %s is refused at the start", (kind, name) => {
    drop(kind, name);
    expect(open(file)).toThrow(/ is damaged: .*Restore it from a copy/);
  });

  test("of version 1 without a table is refused, and stays as it was", () => {
    drop("TABLE", "tasks");
    const db = new DatabaseSync(file);
    db.exec("PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)");
    db.close();
    const before = readFileSync(file);
    expect(open(file)).toThrow(/ is damaged: /);
    expect(readFileSync(file)).toEqual(before);
  });

  test("that was cut off is called damaged, whatever is left of it", () => {
    const pages = readFileSync(file).byteLength / PAGE_BYTES;
    for (let left = 1; left < pages; left += 1) {
      const cut = join(folder.path, `cut-${left}.db`);
      copyFileSync(file, cut);
      truncateSync(cut, left * PAGE_BYTES);
      expect(open(cut)).toThrow(/ is damaged: /);
    }
  });

  test("with garbage in any of its pages is refused", () => {
    const whole = readFileSync(file);
    for (let page = 0; page < whole.byteLength / PAGE_BYTES; page += 1) {
      const garbled = join(folder.path, `garbled-${page}.db`);
      const bytes = Buffer.from(whole);
      bytes.fill(0x5a, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      writeFileSync(garbled, bytes);
      expect(open(garbled)).toThrow(/ is damaged: | is not a SQLite database/);
    }
  });
});

test.each(["/dev/null", "/dev/full"].filter((path) => existsSync(path)))(
  "%s is refused with the true reason",
  (device) => {
    expect(open(device)).toThrow(/^Cannot open the database .*: it is not a regular file\./);
  },
);

test.each(objects)(
  "/readyz says that the server is not ready when its %s %s has gone",
  async (kind, name) => {
    const server = await startServer({ store: file });
    const readiness = async (): Promise<Response> => fetch(`${server.opsUrl}/readyz`);
    expect((await readiness()).status).toBe(200);
    drop(kind, name);
    const response = await readiness();
    expect(response.status).toBe(503);
    expect(await response.text()).toContain(name);
    await server.close();
  },
);
