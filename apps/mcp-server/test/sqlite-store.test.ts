import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StoreOpenError } from "../src/errors.ts";
import { SwarmError } from "../src/swarm/errors.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import type { Task } from "../src/swarm/types.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const everything = { limit: 500 };

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
let stores: SqliteSwarmStore[];
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, "swarm.db");
  stores = [];
});
afterEach(async () => {
  for (const store of stores) await store[Symbol.asyncDispose]();
  folder.remove();
});

function open(path = file): SqliteSwarmStore {
  const store = new SqliteSwarmStore(path, { now: () => new Date("2026-01-02T03:04:05.678Z") });
  stores.push(store);
  return store;
}

describe("agents", () => {
  test("are created, listed, read and retired", async () => {
    const store = open();
    const agent = await store.createAgent({ name: "Ada", role: "worker" });
    expect(agent).toMatchObject({
      name: "Ada",
      status: "active",
      createdAt: "2026-01-02T03:04:05.678Z",
    });
    expect(await store.getAgent(agent.id)).toEqual(agent);
    const retired = await store.retireAgent(agent.id);
    expect(retired).toMatchObject({ status: "retired", retiredAt: "2026-01-02T03:04:05.678Z" });
    expect((await store.listAgents({ status: "active" }, everything)).items).toEqual([]);
    expect((await store.listAgents({ status: "retired" }, everything)).items).toEqual([retired]);
  });

  test("are paged without gaps or repetitions", async () => {
    const store = open();
    const created = await Promise.all(
      Array.from({ length: 7 }, (_, index) => store.createAgent({ name: `a${index}`, role: "r" })),
    );
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.listAgents({}, { limit: 3, cursor });
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(created.map(({ id }) => id));
  });

  test.each(["x", "-1", "1e3", "99999999999999999999", ""])(
    "a cursor of %j is refused",
    async (cursor) => {
      await expect(open().listAgents({}, { limit: 1, cursor })).rejects.toMatchObject({
        code: "BAD_CURSOR",
      });
    },
  );

  test("join only swarms that exist", async () => {
    await expect(open().createAgent({ name: "a", role: "r", swarmId: "none" })).rejects.toThrow(
      SwarmError,
    );
  });
});

describe("tasks", () => {
  test("go to the least loaded active agent", async () => {
    const store = open();
    const [a, b] = [
      await store.createAgent({ name: "a", role: "r" }),
      await store.createAgent({ name: "b", role: "r" }),
    ];
    const outcomes = await store.assignTasks(Array.from({ length: 5 }, () => ({ title: "t" })));
    expect(outcomes.map((task) => (task as Task).agentId)).toEqual([a.id, b.id, a.id, b.id, a.id]);
    expect(await store.agentWorkload({})).toMatchObject([
      { agentId: a.id, open: 3 },
      { agentId: b.id, open: 2 },
    ]);
  });

  test("that cannot be assigned do not hinder the others of the transaction", async () => {
    const store = open();
    const retired = await store.retireAgent((await store.createAgent({ name: "r", role: "r" })).id);
    const agent = await store.createAgent({ name: "a", role: "r" });
    const { swarm } = await store.createSwarm({ name: "s", goal: "", size: 0 });
    const outcomes = await store.assignTasks([
      { title: "1", agentId: "none" },
      { title: "2", agentId: retired.id },
      { title: "3", swarmId: "none" },
      { title: "4", swarmId: swarm.id },
      { title: "5", agentId: agent.id, swarmId: swarm.id },
      { title: "6" },
    ]);
    expect(
      outcomes.map((outcome) => (outcome instanceof SwarmError ? outcome.code : "ok")),
    ).toEqual([
      "AGENT_NOT_FOUND",
      "AGENT_RETIRED",
      "SWARM_NOT_FOUND",
      "NO_AGENT_AVAILABLE",
      "AGENT_NOT_IN_SWARM",
      "ok",
    ]);
    expect((await store.listTasks({}, everything)).items).toHaveLength(1);
  });

  test("are completed once", async () => {
    const store = open();
    await store.createAgent({ name: "a", role: "r" });
    const [task] = (await store.assignTasks([{ title: "t" }])) as [Task];
    expect(await store.completeTask(task.id, "failed", "why")).toMatchObject({
      status: "failed",
      result: "why",
    });
    await expect(store.completeTask(task.id, "done")).rejects.toMatchObject({
      code: "TASK_ALREADY_COMPLETED",
    });
    await expect(store.completeTask("none", "done")).rejects.toMatchObject({
      code: "TASK_NOT_FOUND",
    });
  });

  test("are exported across pages in order", async () => {
    const store = open();
    await store.createAgent({ name: "a", role: "r" });
    await store.assignTasks(
      Array.from({ length: 1_203 }, (_, index) => ({ title: String(index) })),
    );
    const titles: number[] = [];
    for await (const { title } of store.exportTasks({})) titles.push(Number(title));
    expect(titles).toEqual(Array.from({ length: 1_203 }, (_, index) => index));
  });
});

describe("swarms", () => {
  test("grow, shrink by their youngest idle agents, and keep the busy ones", async () => {
    const store = open();
    const { swarm, agents } = await store.createSwarm({ name: "s", goal: "g", size: 2 });
    await store.assignTasks([{ title: "t", agentId: agents[0]!.id }]);
    const grown = await store.scaleSwarm(swarm.id, 4);
    expect(grown.created.map(({ name }) => name)).toEqual(["s-3", "s-4"]);
    const shrunk = await store.scaleSwarm(swarm.id, 0);
    expect(shrunk.retired.map(({ name }) => name)).toEqual(["s-4", "s-3", "s-2"]);
    expect(shrunk).toMatchObject({ busy: 1, swarm: { size: 0 } });
    expect(await store.swarmStatus(swarm.id)).toMatchObject({
      agents: { active: 1, retired: 3 },
      tasks: { assigned: 1, done: 0, failed: 0 },
    });
    await expect(store.scaleSwarm("none", 1)).rejects.toMatchObject({ code: "SWARM_NOT_FOUND" });
  });
});

describe("the file", () => {
  test("keeps its state when opened again", async () => {
    const first = open();
    const agent = await first.createAgent({ name: "a", role: "r" });
    await first[Symbol.asyncDispose]();
    expect(await open().getAgent(agent.id)).toEqual(agent);
  });

  test("tells one process that another one wrote, and says nothing of its own writes", async () => {
    const [mine, theirs] = [open(), open()];
    const before = mine.version();
    await mine.createAgent({ name: "a", role: "r" });
    expect(mine.version()).toBe(before);
    await theirs.createAgent({ name: "b", role: "r" });
    expect(mine.version()).not.toBe(before);
  });

  test("holds every acknowledged write after kill -9", async () => {
    const writer = spawn(
      process.execPath,
      [fileURLToPath(new URL("support/endless-writer.ts", import.meta.url)), file],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const acknowledged: string[] = [];
    for await (const id of createInterface({ input: writer.stdout })) {
      acknowledged.push(id);
      if (acknowledged.length === 200) writer.kill("SIGKILL");
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, "exit");
    expect(writer.signalCode).toBe("SIGKILL");
    const store = open();
    for (const id of acknowledged) expect((await store.getAgent(id)).id).toBe(id);
  });

  test("of another program is refused and left untouched", () => {
    const foreign = new DatabaseSync(file);
    foreign.exec("CREATE TABLE notes (text TEXT)");
    foreign.close();
    const before = readFileSync(file);
    expect(() => open()).toThrow(/is a SQLite database of another program; it was left untouched/);
    expect(readFileSync(file)).toEqual(before);
  });

  test("of a newer version is refused", async () => {
    await open()[Symbol.asyncDispose]();
    const db = new DatabaseSync(file);
    db.exec("PRAGMA user_version = 99");
    db.close();
    expect(() => open()).toThrow(
      /has schema version 99; this version of mcp-accel knows 1 to 2. Upgrade/,
    );
  });

  test("that is no database is refused and left untouched", () => {
    writeFileSync(
      file,
      "just text, and long enough to be looked at as a header of a database file".repeat(20),
    );
    expect(() => open()).toThrow(StoreOpenError);
    expect(() => open()).toThrow(/is not a SQLite database; it was left untouched/);
    expect(readFileSync(file, "utf8")).toMatch(/^just text/);
  });

  test("that cannot be opened is refused with the reason", () => {
    mkdirSync(file);
    expect(() => open()).toThrow(/^Cannot open the database .*swarm\.db: /);
    writeFileSync(join(folder.path, "plain"), "");
    expect(() => open(join(folder.path, "plain", "x.db"))).toThrow(/^Cannot open the database /);
  });
});
