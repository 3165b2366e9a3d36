import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync, symlinkSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { EventCache, StoreError } from "../src/index.ts";
import { SqliteFile } from "../src/sqlite-file.ts";
import { sqliteStore } from "../src/sqlite.ts";
import { Folder } from "./sqlite-folder.ts";
import type { WorkerOrder } from "./sqlite-worker.ts";
import { counter } from "./strict-process.ts";

const program = fileURLToPath(new URL("sqlite-worker.ts", import.meta.url));
const fence = "c:f:t:red";
const move = { first: [], lifetimeMs: 60_000 };
const files = ["", "-wal", "-shm"] as const;
const orders = files.flatMap((first) =>
  files
    .filter((second) => second !== first)
    .map((second) => [first, second, ...files.filter((name) => ![first, second].includes(name))]),
);

/** A process on a file. */
class Worker {
  readonly #child: ChildProcess;

  static async start(path: string, bug = "none"): Promise<Worker> {
    const child = fork(program, [path, bug], { execArgv: ["--conditions=@mcp-accel/source"] });
    await once(child, "message");
    return new Worker(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  async tell(what: WorkerOrder["what"], value = ""): Promise<string> {
    const answer = once(this.#child, "message");
    this.#child.send({ what, value } satisfies WorkerOrder);
    return String((await answer)[0]);
  }

  async end(how: "leave" | "kill"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    if (how === "kill") this.#child.kill("SIGKILL");
    else this.#child.send({ what: "leave" } satisfies WorkerOrder);
    await exit;
  }
}

type Start = () => Promise<Worker>;

/** Its processes are gone before the folder is. */
async function inFolder<T>(
  act: (path: string, start: Start) => Promise<T>,
  bug?: string,
): Promise<T> {
  using folder = new Folder();
  const path = folder.file();
  const workers: Worker[] = [];
  const start = async (): Promise<Worker> => {
    const worker = await Worker.start(path, bug);
    workers.push(worker);
    return worker;
  };
  try {
    return await act(path, start);
  } finally {
    await Promise.all(workers.map((worker) => worker.end("kill")));
  }
}

let values = 0;

interface Found {
  /** Reads that returned what was invalidated before they began. */
  stale: number;
  /** Invalidations that rejected. */
  rejected: number;
}

/** Each of the processes invalidates in its turn, then all read. */
async function ask(workers: readonly Worker[], found: Found): Promise<void> {
  for (const invalidating of workers) {
    for (const worker of workers) await worker.tell("read", `${++values}`);
    const before = values;
    const confirmed = (await invalidating.tell("invalidate")) === "done";
    if (!confirmed) found.rejected++;
    for (const worker of workers) {
      const read = Number(await worker.tell("read", `${++values}`));
      if (confirmed && read <= before) found.stale++;
    }
  }
}

/** Deletes the files one after the other; after each deletion somebody reads, somebody new comes, and all invalidate. */
function deleteInTurn(order: readonly string[], bug?: string): Promise<Found> {
  return inFolder(async (path, start) => {
    const workers = [await start(), await start()];
    const found = { stale: 0, rejected: 0 };
    await ask(workers, found);
    for (const suffix of order) {
      rmSync(path + suffix, { force: true });
      await workers[0]?.tell("read", `${++values}`);
      workers.push(await start());
      await workers.at(-1)?.tell("read", `${++values}`);
      await ask(workers, found);
    }
    return found;
  }, bug);
}

/** What a process that comes next finds of what was invalidated, when the log of it was deleted. */
function readWithoutLog(bug?: string): Promise<string> {
  return inFolder(async (path, start) => {
    const here = await start();
    await here.tell("read", "old");
    using other = new DatabaseSync(path);
    other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    await here.tell("invalidate");
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix);
    return (await start()).tell("read", "new");
  }, bug);
}

describe("files that are deleted while processes have them", () => {
  test.each(orders)(
    "leave no process with what is gone: deleted in the order %o, %o, %o",
    async (...order) => {
      expect(await deleteInTurn(order)).toEqual({ stale: 0, rejected: 0 });
    },
    30_000,
  );

  test("the log alone takes nothing back", async () => {
    expect(await readWithoutLog()).toBe("new");
  });

  test("a mistake is noticed: only the file itself is looked at", async () => {
    const { stale } = await deleteInTurn(["-shm", "-wal", ""], "only the file is looked at");
    expect(stale).toBeGreaterThan(0);
  }, 30_000);

  test("a mistake is noticed: a file is taken for complete whose log is gone", async () => {
    expect(await readWithoutLog("any file is complete")).toBe("old");
  });

  test("at any moment, under processes that work", async () => {
    const found = { stale: 0, rejected: 0 };
    await inFolder(async (path, start) => {
      const workers = [await start(), await start()];
      for (let busy = 0; busy < 2; busy++) await (await start()).tell("work");
      for (let round = 0; round < 60; round++) {
        for (const suffix of orders[round % orders.length] ?? [])
          rmSync(path + suffix, { force: true });
        if (round % 20 === 3) rmSync(`${path}-lock`, { force: true });
        if (round % 3 === 0) await workers[round % 2]?.tell("read", `${++values}`);
        if (round % 6 === 5) await ask(workers, found);
      }
    });
    expect(found).toEqual({ stale: 0, rejected: 0 });
  }, 60_000);

  test.each(files)("a mirror is silent without one of them: %o", async (suffix) => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    await store.moveFences([fence], move);
    expect(store.mirror.version()).toBeDefined();
    rmSync(folder.file() + suffix);
    expect(store.mirror.version()).toBeUndefined();
    expect(store.mirror.valueOf(fence)).toBeUndefined();
    expect(await store.read([fence])).toEqual([undefined]);
  });

  test("a change during which they are deleted does not count, and is made again on new ones", () => {
    using folder = new Folder();
    const deleted = [...files];
    const file = new SqliteFile(folder.file(), () => {});
    const add = (): unknown =>
      file.change(true, ({ addFence, totals }) => {
        addFence.run(fence, "1", 0, 0);
        const suffix = deleted.pop();
        if (suffix !== undefined) rmSync(folder.file() + suffix);
        return totals.get()?.["fences"];
      });
    for (let count = 0; count < files.length; count++)
      expect(add).toThrow(expect.objectContaining({ reason: "busy" }));
    expect(add()).toBe(1);
    file.close();
  });
});

describe("files that are left", () => {
  test.each([
    ["by the last process, which closed its store", "close"],
    ["by a process that was killed", "kill"],
  ] as const)("are used by the next: %s", async (_what, how) => {
    await inFolder(async (path, start) => {
      const [one, other] = [await start(), await start()];
      expect([await one.tell("read", "1"), await other.tell("read", "2")]).toEqual(["1", "1"]);
      for (const worker of [one, other]) {
        if (how === "close") await worker.tell("close");
        await worker.end(how === "close" ? "leave" : "kill");
      }
      expect(existsSync(`${path}-wal`)).toBe(how === "kill");
      expect(await (await start()).tell("read", "3")).toBe("1");
    });
  });

  test("by a process that did not close its store are begun anew", async () => {
    await inFolder(async (_path, start) => {
      const worker = await start();
      await worker.tell("read", "1");
      await worker.end("leave");
      expect(await (await start()).tell("read", "2")).toBe("2");
    });
  });

  test("behind a symbolic link are found", async () => {
    using folder = new Folder();
    symlinkSync(folder.file("real.db"), folder.file());
    const { compute } = counter();
    for (const expected of [1, 1]) {
      await using store = sqliteStore({ path: folder.file() });
      expect(await new EventCache({ store }).getOrSet("k", compute)).toBe(expected);
    }
    expect(existsSync(folder.file("real.db-lock"))).toBe(true);
  });
});

describe("a disk that is full", () => {
  test("loses the entries to an invalidation, which resolves", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    await using other = sqliteStore({ path: folder.file() });
    const [cache, there] = [new EventCache({ store }), new EventCache({ store: other })];
    const { compute } = counter();
    const read = (): Promise<number> => there.getOrSet("k", compute, { tags: ["kept"] });
    expect([await read(), await read()]).toEqual([1, 1]);
    const full = new StoreError("no space", { reason: "full" });
    const spy = vi.spyOn(SqliteFile.prototype, "change").mockImplementationOnce(() => {
      throw full;
    });
    onTestFinished(() => spy.mockRestore());
    await cache.invalidateByTags(["t"]);
    expect(there.peek("k")).toBeUndefined();
    expect([await read(), await read()]).toEqual([2, 2]);
    spy.mockImplementationOnce(() => {
      throw full;
    });
    await cache.set("k", 1);
    spy.mockImplementation(() => {
      throw full;
    });
    await expect(cache.invalidateByTags(["t"])).rejects.toMatchObject({
      cause: { reason: "full" },
    });
  });
});
