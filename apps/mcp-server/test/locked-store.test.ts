import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MAX_BACKOFF_MS, MAX_LOCK_WAIT_MS, readWhenFree } from "../src/swarm/sqlite/lock-wait.ts";
import { SqliteSwarmStore } from "../src/swarm/sqlite/sqlite-store.ts";
import { connectHttp, eras } from "./support/clients.ts";
import { startServer } from "./support/servers.ts";
import { structured } from "./support/structured.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";
import { WaitingClock } from "./support/waiting-clock.ts";

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = join(folder.path, "swarm.db");
});
afterEach(() => folder.remove());

describe("a store whose file another process has locked for writing", () => {
  test("reads on, and writes in order when the lock is gone", async () => {
    const clock = new WaitingClock();
    const store = new SqliteSwarmStore(file, { clock });
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    const writing = ["a", "b", "c"].map((name) => store.createAgent({ name, role: "r" }));
    expect((await store.listAgents({}, { limit: 10 })).items).toEqual([]);
    await store.probe();
    while (clock.now() < 500) await new Promise(setImmediate);
    other.exec("ROLLBACK");
    const written = await Promise.all(writing);
    const { items } = await store.listAgents({}, { limit: 10 });
    expect(items).toEqual(written);
    expect(items.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    await store[Symbol.asyncDispose]();
    other.close();
  });

  test("writes nothing when it gives up", async () => {
    const store = new SqliteSwarmStore(file, { clock: new WaitingClock() });
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.createSwarm({ name: "s", goal: "", size: 3 })).rejects.toMatchObject({
      code: "STORE_BUSY",
    });
    other.exec("ROLLBACK");
    expect((await store.listSwarms({ limit: 1 })).items).toEqual([]);
    await store[Symbol.asyncDispose]();
    other.close();
  });
});

describe("a read that meets a lock", () => {
  const busy = Object.assign(new Error("database is locked"), { errcode: 261 });

  test("is done when the lock is gone", async () => {
    const clock = new WaitingClock();
    const read = (): string => {
      if (clock.now() < 1_000) throw busy;
      return "rows";
    };
    expect(await readWhenFree(read, clock)).toBe("rows");
    expect(clock.now()).toBeLessThanOrEqual(1_000 + MAX_BACKOFF_MS);
  });

  test("fails after a bounded wait", async () => {
    const clock = new WaitingClock();
    const reading = readWhenFree(() => {
      throw busy;
    }, clock);
    await expect(reading).rejects.toMatchObject({ code: "STORE_BUSY" });
    expect(clock.now()).toBeLessThanOrEqual(MAX_LOCK_WAIT_MS + MAX_BACKOFF_MS);
  });
});

test.each(eras)(
  "a server answers reads and /healthz of a %s client while a write waits for another process",
  async (era) => {
    const server = await startServer({ store: file });
    const client = await connectHttp(era, server.url);
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    let written = false;
    const writing = client.call("create_agent", { name: "Ada" }).then((result) => {
      written = true;
      return result;
    });
    expect((await fetch(`${server.opsUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.opsUrl}/readyz`)).status).toBe(200);
    expect((await client.call("list_agents")).structuredContent).toMatchObject({ agents: [] });
    expect(written).toBe(false);
    other.exec("ROLLBACK");
    other.close();
    const { agent } = structured<{ agent: { name: string } }>(await writing);
    expect(agent.name).toBe("Ada");
    await client.close();
    await server.close();
  },
);

describe.each(eras)(
  "a server that stops while a write of a %s client waits for the lock",
  (era) => {
    test("refuses the write, and does not do it when the lock is gone", async () => {
      const server = await startServer({ store: file });
      const client = await connectHttp(era, server.url);
      const other = new DatabaseSync(file);
      other.exec("BEGIN IMMEDIATE");
      const writing = client.call("create_agent", { name: "Ada" });
      // The next answer shows that the write has arrived.
      await client.call("list_agents");
      const closing = server.close();
      const { isError, content } = await writing;
      expect(isError).toBe(true);
      expect(content[0]?.text).toMatch(/^STORE_CLOSED: /);
      other.exec("ROLLBACK");
      await closing;
      expect(other.prepare("SELECT count(*) AS agents FROM agents").get()).toEqual({ agents: 0 });
      other.close();
      await client.close().catch(() => {});
    });
  },
);
