import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { EventCache } from "../src/index.ts";
import { sqliteStore } from "../src/sqlite.ts";
import { Folder } from "./sqlite-folder.ts";
import { counter } from "./strict-process.ts";
import { ManualTimers, settle } from "./support.ts";

const fence = "c:f:t:red";
const entry = "c:e:0::k";
const move = { first: [], lifetimeMs: 60_000 };

describe("the fences in a file", () => {
  test("have values that never repeat, also when the file was deleted meanwhile", async () => {
    using folder = new Folder();
    const seen = new Set<string>();
    for (let life = 0; life < 3; life++) {
      await using store = sqliteStore({ path: folder.file() });
      for (let turn = 0; turn < 2; turn++)
        seen.add((await store.moveFences([fence], move)).get(fence) ?? "");
      for (const suffix of ["", "-wal", "-shm"]) rmSync(folder.file() + suffix, { force: true });
    }
    expect(seen.size).toBe(6);
  });

  test("that processes create at the same time get one value, and a new one when they move", async () => {
    using folder = new Folder();
    await using a = sqliteStore({ path: folder.file() });
    await using b = sqliteStore({ path: folder.file() });
    const values = new Set<string | undefined>();
    for (const store of [a, b, a]) {
      const created = await store.moveFences([fence], { ...move, create: true });
      values.add(created.get(fence));
    }
    expect(values.size).toBe(1);
    values.add((await b.moveFences([fence], move)).get(fence));
    expect(values.size).toBe(2);
  });

  test("are mirrored until another connection commits, and from then on read again", async () => {
    using folder = new Folder();
    await using a = sqliteStore({ path: folder.file() });
    await using b = sqliteStore({ path: folder.file() });
    await a.moveFences([fence], move);
    await b.read([fence]);
    const before = a.mirror.version();
    expect(a.mirror.version()).toBe(before);
    const moved = (await b.moveFences([fence], move)).get(fence);
    expect(a.mirror.version()).toBeGreaterThan(before ?? Infinity);
    expect(a.mirror.valueOf(fence)).toBe(moved);
    expect(b.mirror.valueOf(fence)).toBe(moved);
  });

  test("an own commit changes the version, though data_version does not show it", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    await store.moveFences([fence], move);
    const before = store.mirror.version();
    const moved = await store.moveFences([fence], move);
    expect(store.mirror.version()).toBeGreaterThan(before ?? Infinity);
    expect(store.mirror.valueOf(fence)).toBe(moved.get(fence));
  });

  test("another's commit is seen also when reads or commits of the own connection came after it", async () => {
    using folder = new Folder();
    await using a = sqliteStore({ path: folder.file() });
    await using b = sqliteStore({ path: folder.file() });
    await a.moveFences([fence, "c:f:all"], move);
    a.mirror.version();
    a.mirror.valueOf(fence);
    const first = (await b.moveFences([fence], move)).get(fence);
    await a.moveFences(["c:f:all"], move);
    a.mirror.version();
    expect(a.mirror.valueOf(fence)).toBe(first);
    const second = (await b.moveFences([fence], move)).get(fence);
    await a.read([entry]);
    a.mirror.version();
    expect(a.mirror.valueOf(fence)).toBe(second);
  });

  test("nothing is mirrored before the first call, after the last one, and without the file", async () => {
    using folder = new Folder();
    const store = sqliteStore({ path: folder.file() });
    expect(store.mirror.version()).toBeUndefined();
    expect(store.mirror.valueOf(fence)).toBeUndefined();
    await store.moveFences([fence], move);
    expect(store.mirror.version()).toBeDefined();
    rmSync(folder.file());
    expect(store.mirror.version()).toBeUndefined();
    expect(await store.read([fence])).toEqual([undefined]);
    expect(store.mirror.valueOf(fence)).toBeUndefined();
    await store.close();
    expect(store.mirror.version()).toBeUndefined();
    await expect(store.read([fence])).rejects.toMatchObject({ reason: "closed" });
  });

  test("a file that is replaced is noticed, by whoever invalidates and by whoever reads", async () => {
    using folder = new Folder();
    await using a = sqliteStore({ path: folder.file() });
    await using b = sqliteStore({ path: folder.file() });
    await a.moveFences([fence], move);
    await b.read([fence]);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(folder.file() + suffix, { force: true });
    const moved = (await b.moveFences([fence], move)).get(fence);
    expect(a.mirror.version()).toBeUndefined();
    expect(await a.read([fence])).toEqual([moved]);
  });

  test("this is why the connection is nobody else's: in a transaction data_version stands still", () => {
    using folder = new Folder();
    using a = new DatabaseSync(folder.file());
    using b = new DatabaseSync(folder.file());
    a.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x)");
    const version = (): unknown => a.prepare("PRAGMA data_version").get()?.["data_version"];
    a.exec("BEGIN; SELECT * FROM t");
    const before = version();
    b.exec("INSERT INTO t VALUES (1)");
    expect(version()).toBe(before);
    a.exec("COMMIT");
    expect(version()).not.toBe(before);
  });
});

describe("the entries in a file", () => {
  test("expire, and go in the calls that come after", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    await store.write([
      { key: "c:e:0::a", value: "1", expiresInMs: -1 },
      { key: "c:e:0::b", value: "2" },
    ]);
    expect(await store.read(["c:e:0::a", "c:e:0::b"])).toEqual([undefined, "2"]);
    await store.write([{ key: "c:e:0::c", value: "3", expiresInMs: 60_000 }]);
    expect(rows(folder.file(), "entries")).toEqual(["c:e:0::b", "c:e:0::c"]);
    await store.remove("c:e:0::b");
    expect(rows(folder.file(), "entries")).toEqual(["c:e:0::c"]);
  });

  test("the oldest make room, by count and by bytes, and the totals are exact", async () => {
    using folder = new Folder();
    await using store = sqliteStore({
      path: folder.file(),
      maxEntries: 3,
      maxBytes: 85,
      maxValueBytes: 80,
    });
    for (const key of ["a", "b", "c", "d", "b", "e"]) await store.write([{ key, value: "xx" }]);
    expect(rows(folder.file(), "entries")).toEqual(["d", "b", "e"]);
    await store.write([{ key: "f", value: "x".repeat(79) }]);
    expect(rows(folder.file(), "entries")).toEqual(["e", "f"]);
    expect(totals(folder.file())).toEqual({ entries: 2, bytes: 83, fences: 0 });
  });

  test("one that is too large is refused, which is no failure of the store", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file(), maxValueBytes: 500 });
    const cache = new EventCache({ store });
    for (let index = 0; index < 6; index++)
      await cache.getOrSet(`k${index}`, () => "x".repeat(600));
    await cache.getOrSet("small", () => 1);
    expect(cache.peek("small")).toBe(1);
    expect(cache.stats()).toMatchObject({ storeErrors: 6, entries: 1 });
  });

  test("a value for which one call cannot make room is refused, and a later one has room", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file(), maxBytes: 3_000, maxValueBytes: 3_000 });
    const many = Array.from({ length: 300 }, (_, index) => ({ key: `${index}`, value: "12345" }));
    await store.write(many);
    const large = { key: "large", value: "x".repeat(2_900) };
    await expect(store.write([large])).rejects.toMatchObject({ reason: "too-large" });
    await store.write([large]);
    expect(await store.read(["large"])).toEqual([large.value]);
  });

  test("fences are bounded, too, and those that every entry needs stay", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file(), maxFences: 10_000 });
    await store.moveFences(["c:f:all", "c:f:any", "c:f:k:7"], move);
    const tags = Array.from({ length: 10_000 }, (_, index) => `c:f:t:${index}`);
    await store.moveFences(tags, move);
    await store.moveFences(["c:f:t:a"], move);
    await store.moveFences(["c:f:t:b"], { ...move, lifetimeMs: -1 });
    expect(totals(folder.file())["fences"]).toBeLessThanOrEqual(10_000);
    const kept = await store.read(["c:f:all", "c:f:any", "c:f:k:7", "c:f:t:a", "c:f:t:0"]);
    expect(kept.map((value) => value !== undefined)).toEqual([true, true, true, true, false]);
    expect(store.mirror.valueOf("c:f:t:1")).toBeUndefined();
    await store.moveFences(["c:f:t:a"], move);
    expect(await store.read(["c:f:t:b"])).toEqual([undefined]);
  });

  test("the file is for its owner only", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    await store.write([{ key: "a", value: "secret" }]);
    for (const suffix of ["", "-wal", "-shm"])
      expect(statSync(folder.file() + suffix).mode & 0o077).toBe(0);
  });
});

describe("caches on a file", () => {
  test("what one stores another has near, until anyone invalidates it", async () => {
    using folder = new Folder();
    await using a = sqliteStore({ path: folder.file() });
    await using b = sqliteStore({ path: folder.file() });
    const [one, two] = [new EventCache({ store: a }), new EventCache({ store: b })];
    const { compute } = counter();
    const read = (cache: EventCache): Promise<number> =>
      cache.getOrSet("k", compute, { tags: ["t"] });
    expect([await read(one), await read(two)]).toEqual([1, 1]);
    expect([one.peek("k"), two.peek("k")]).toEqual([1, 1]);
    await two.invalidateByTags(["t"]);
    expect([one.peek("k"), two.peek("k")]).toEqual([undefined, undefined]);
    expect([await read(one), await read(two)]).toEqual([2, 2]);
  });

  test("two on one store do not need a commit of another connection to see each other's invalidations", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    const [one, two] = [new EventCache({ store }), new EventCache({ store })];
    await one.getOrSet("k", () => 1, { tags: ["t"] });
    await two.get("k");
    expect(two.peek("k")).toBe(1);
    await one.invalidateByTags(["t"]);
    expect(two.peek("k")).toBeUndefined();
  });

  test("a lock that another process holds delays a write, within busyTimeoutMs, and reads not at all", async () => {
    using folder = new Folder();
    const timers = new ManualTimers();
    await using store = sqliteStore({ path: folder.file(), timers, busyTimeoutMs: 30 });
    await store.moveFences([fence], move);
    using other = new DatabaseSync(folder.file());
    other.exec("BEGIN IMMEDIATE");
    const moving = store.moveFences([fence], move);
    expect(await store.read([fence])).toEqual([expect.any(String)]);
    other.exec("COMMIT");
    timers.fire();
    await moving;
    other.exec("BEGIN IMMEDIATE");
    const refused = store.moveFences([fence], move).catch((error: unknown) => error);
    for (let index = 0; index < 5; index++) {
      await settle();
      timers.fire();
    }
    expect(await refused).toMatchObject({ code: "CACHE_STORE", reason: "busy" });
    other.exec("ROLLBACK");
  });

  test.each([
    [
      "a text file",
      (path: string) => writeFileSync(path, "not a database, but long enough".repeat(99)),
    ],
    ["a database of something else", (path: string) => createTable(path)],
    ["a database of another version", (path: string) => createTable(path, 0x6d636365)],
  ])("%s is left alone, and reads compute", async (_what, prepare) => {
    using folder = new Folder();
    prepare(folder.file());
    const before = readFileSync(folder.file());
    await using store = sqliteStore({ path: folder.file() });
    await expect(store.read([fence])).rejects.toMatchObject({
      code: "CACHE_STORE",
      reason: "foreign",
    });
    const cache = new EventCache({ store });
    expect(await cache.getOrSet("k", () => 1)).toBe(1);
    await expect(cache.invalidateByTags(["t"])).rejects.toMatchObject({
      code: "CACHE_INVALIDATION",
      cause: { reason: "foreign" },
    });
    expect(readFileSync(folder.file())).toEqual(before);
  });

  test("a damaged file turns reads into computes, and a new one in its place is used", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file() });
    const reasons: unknown[] = [];
    await fill(folder.file());
    const file = readFileSync(folder.file());
    writeFileSync(
      folder.file(),
      Buffer.concat([file.subarray(0, 4_096), file.subarray(4_096).fill(7)]),
    );
    const cache = new EventCache({ store });
    cache.on("storeError", ({ error }) => reasons.push(Object(error).reason));
    expect(await cache.getOrSet("k", () => 1, { tags: ["t"] })).toBe(1);
    expect(cache.peek("k")).toBeUndefined();
    expect(reasons).toEqual(["corrupt"]);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(folder.file() + suffix, { force: true });
    await cache.getOrSet("k", () => 2, { tags: ["t"] });
    expect(cache.peek("k")).toBe(2);
  });

  test("a folder that does not exist is told", async () => {
    using folder = new Folder();
    await using store = sqliteStore({ path: folder.file("none/cache.db") });
    await expect(store.moveFences([fence], move)).rejects.toMatchObject({ reason: "unavailable" });
    expect(await new EventCache({ store }).getOrSet("k", () => 1)).toBe(1);
  });

  test.each([
    ["path", ""],
    ["path", ":memory:"],
    ["path", undefined],
    ["maxEntries", 0],
    ["maxFences", 10],
    ["busyTimeoutMs", -1],
    ["table", "x"],
  ])("the option %s: %o is refused", (name, value) => {
    expect(() => sqliteStore({ path: "/tmp/unused", [name]: value })).toThrow(
      expect.objectContaining({ code: "CACHE_OPTION", option: name }),
    );
  });
});

/** Enough rows for several pages, and everything in the main file. */
async function fill(path: string): Promise<void> {
  const cache = new EventCache({ store: sqliteStore({ path }) });
  for (let index = 0; index < 50; index++) await cache.set(`k${index}`, "x".repeat(200));
  using database = new DatabaseSync(path);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

function createTable(path: string, applicationId = 0): void {
  using database = new DatabaseSync(path);
  database.exec(`CREATE TABLE orders (id); PRAGMA application_id = ${applicationId}`);
}

function rows(path: string, table: string): unknown[] {
  using database = new DatabaseSync(path);
  return database
    .prepare(`SELECT key FROM ${table} ORDER BY id`)
    .all()
    .map((row) => row["key"]);
}

function totals(path: string): Record<string, unknown> {
  using database = new DatabaseSync(path);
  return { ...database.prepare("SELECT entries, bytes, fences FROM totals").get() };
}
