import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AgentTable } from "../src/swarm/sqlite/agents.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import type { Statements } from "../src/swarm/sqlite/statements.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** The tables as version 1 made them. */
const VERSION_1 = `
  CREATE TABLE swarms (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, goal TEXT NOT NULL,
    size INTEGER NOT NULL, created_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE agents (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,
    status TEXT NOT NULL, swarm_id TEXT REFERENCES swarms (id), created_at TEXT NOT NULL, retired_at TEXT
  ) STRICT;
  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, description TEXT NOT NULL,
    status TEXT NOT NULL, priority INTEGER NOT NULL, agent_id TEXT NOT NULL REFERENCES agents (id),
    swarm_id TEXT REFERENCES swarms (id), result TEXT, created_at TEXT NOT NULL, completed_at TEXT
  ) STRICT;
  CREATE INDEX agents_by_swarm ON agents (swarm_id, status);
  CREATE INDEX tasks_by_agent ON tasks (agent_id, status);
  CREATE INDEX tasks_by_swarm ON tasks (swarm_id, status);
  PRAGMA application_id = 1835229539;
  PRAGMA user_version = 1;
  PRAGMA journal_mode = WAL;
`;

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, "swarm.db");
});
afterEach(() => folder.remove());

/** Agents a, b and c with as many open tasks each, and as many that are done. */
function writeVersion1(open: Readonly<Record<string, number>>): void {
  const db = new DatabaseSync(file);
  db.exec(VERSION_1);
  db.exec("BEGIN");
  for (const [id, count] of Object.entries(open)) {
    db.prepare(
      "INSERT INTO agents (id, name, role, status, created_at) VALUES (?, ?, 'r', 'active', 't')",
    ).run(id, id);
    for (let index = 0; index < count; index += 1) {
      insertTask(db, `${id}-open-${index}`, id, "assigned");
      insertTask(db, `${id}-done-${index}`, id, "done");
    }
  }
  db.exec("COMMIT");
  db.close();
}

function insertTask(db: DatabaseSync, id: string, agentId: string, status: string): void {
  db.prepare(
    `INSERT INTO tasks (id, title, description, status, priority, agent_id, created_at)
     VALUES (?, 't', '', ?, 5, ?, 't')`,
  ).run(id, status, agentId);
}

function openTasks(): unknown {
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db.prepare("SELECT id, open_tasks FROM agents ORDER BY seq").all() as {
    id: string;
    open_tasks: number;
  }[];
  db.close();
  return Object.fromEntries(rows.map((row) => [row.id, row.open_tasks]));
}

describe("a file of version 1", () => {
  test("keeps its state, and its backlog is counted", async () => {
    writeVersion1({ a: 3, b: 1, c: 2 });
    await using store = new SqliteSwarmStore(file);
    expect(openTasks()).toEqual({ a: 3, b: 1, c: 2 });
    const outcomes = await store.assignTasks([{ title: "1" }, { title: "2" }]);
    expect(outcomes.map((task) => "agentId" in task && task.agentId)).toEqual(["b", "b"]);
    await store.completeTask("a-open-0", "done");
    expect(openTasks()).toEqual({ a: 2, b: 3, c: 2 });
    expect((await store.listTasks({}, { limit: 500 })).items).toHaveLength(14);
  });

  test("counts what a process of version 1 writes that still has it open", async () => {
    writeVersion1({ a: 1, b: 1 });
    const old = new DatabaseSync(file);
    old.prepare("SELECT count(*) FROM tasks").get();
    await using store = new SqliteSwarmStore(file);
    insertTask(old, "late", "a", "assigned");
    old.exec("UPDATE tasks SET status = 'failed' WHERE id = 'b-open-0'");
    old.close();
    expect(openTasks()).toEqual({ a: 2, b: 0 });
    const [task] = await store.assignTasks([{ title: "t" }]);
    expect(task).toMatchObject({ agentId: "b" });
  });

  test("is of one version or the other when its process is killed on the way", async () => {
    writeVersion1({ a: 4_000, b: 2_000 });
    for (const turns of [0, 20, 200, 1_000]) {
      const opener = spawn(
        process.execPath,
        [fileURLToPath(new URL("support/opener.ts", import.meta.url)), file],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      await once(opener.stdout, "data");
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      opener.kill("SIGKILL");
      if (opener.exitCode === null && opener.signalCode === null) await once(opener, "exit");
    }
    await using store = new SqliteSwarmStore(file);
    expect(openTasks()).toEqual({ a: 4_000, b: 2_000 });
    await store.probe();
  });
});

test.each([undefined, "swarm_1"])(
  "the least loaded agent of swarm %s is found by an index alone",
  async (swarmId) => {
    const asked: string[] = [];
    const noting = { get: (sql: string) => void asked.push(sql) } as unknown as Statements;
    new AgentTable(noting).leastLoaded(swarmId);
    await new SqliteSwarmStore(file)[Symbol.asyncDispose]();
    const db = new DatabaseSync(file, { readOnly: true });
    const plan = db
      .prepare(`EXPLAIN QUERY PLAN ${asked[0]}`)
      .all(...(swarmId === undefined ? [] : [swarmId]))
      .map((row) => row["detail"]);
    expect(plan).toEqual([
      expect.stringMatching(/^SEARCH agents USING (COVERING )?INDEX agents_by_/),
    ]);
    db.close();
  },
);
