import { execFile } from "node:child_process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Folder } from "./sqlite-folder.ts";

const run = promisify(execFile);
const child = fileURLToPath(new URL("sqlite-process.ts", import.meta.url));

interface Counted {
  readonly reads: number;
  readonly near: number;
  readonly hits: number;
  readonly writes: number;
  readonly unconfirmed: number;
  readonly stale: number;
}

/** Three processes on one file, racing; what they counted, added up. */
async function race(rounds: number, bug = "none"): Promise<Counted> {
  using folder = new Folder();
  {
    using truth = new DatabaseSync(folder.file("truth.db"));
    truth.exec(
      `PRAGMA journal_mode = WAL; CREATE TABLE truth (tag TEXT PRIMARY KEY, value INTEGER NOT NULL, floor INTEGER NOT NULL);
       INSERT INTO truth VALUES ('red', 0, 0), ('green', 0, 0), ('blue', 0, 0)`,
    );
  }
  const runs = [1, 2, 3].map(async (seed): Promise<Counted> => {
    const args = [child, folder.path, `${rounds}`, `${seed}`, bug];
    const { stdout } = await run(process.execPath, args, { cwd: folder.path });
    return JSON.parse(stdout) as Counted;
  });
  const all = await Promise.all(runs);
  const sum = (name: keyof Counted): number => all.reduce((total, one) => total + one[name], 0);
  return {
    reads: sum("reads"),
    near: sum("near"),
    hits: sum("hits"),
    writes: sum("writes"),
    unconfirmed: sum("unconfirmed"),
    stale: sum("stale"),
  };
}

describe("three processes on one file", () => {
  test("no read returns what another process invalidated before it began", async () => {
    const { reads, near, hits, writes, unconfirmed, stale } = await race(1_000);
    expect(stale).toBe(0);
    expect(unconfirmed).toBe(0);
    expect(reads).toBeGreaterThan(10_000);
    expect(near).toBeGreaterThan(100);
    expect(hits).toBeGreaterThan(near);
    expect(writes).toBeGreaterThan(500);
  }, 60_000);

  test.each(["no-data-version", "late-fences"])(
    "the race can fail: it sees the bug %s",
    async (bug) => {
      expect((await race(500, bug)).stale).toBeGreaterThan(0);
    },
    60_000,
  );
});
