import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { StoreError } from "../src/index.ts";
import { sqliteError } from "../src/sqlite-errors.ts";
import { SqliteFile } from "../src/sqlite-file.ts";
import { Folder } from "./sqlite-folder.ts";

describe("a file of SQLite", () => {
  test("a change that fails leaves no transaction open, and nothing of itself", () => {
    using folder = new Folder();
    let lost = 0;
    const file = new SqliteFile(folder.file(), () => lost++);
    const change = (): void =>
      file.change(true, (statements) => {
        statements.addFence.run("c:f:t:a", "1", 0, 0);
        throw new StoreError("no", { reason: "too-large" });
      });
    expect(change).toThrow("no");
    using other = new DatabaseSync(folder.file());
    other.exec("BEGIN IMMEDIATE; INSERT INTO fences VALUES (1, 'c:f:t:b', '2', 0, 0); COMMIT");
    expect(file.use(({ totals }) => totals.get()?.["fences"])).toBe(1);
    expect(lost).toBe(0);
    file.close();
    expect(lost).toBe(1);
  });

  test("what a process that was killed had not committed is gone, what it had is there", () => {
    using folder = new Folder();
    const file = new SqliteFile(folder.file(), () => {});
    file.change(true, ({ addFence }) => addFence.run("c:f:t:a", "1", 0, 0));
    using other = new DatabaseSync(folder.file());
    other.exec("BEGIN IMMEDIATE; DELETE FROM fences");
    other.close();
    expect(file.use(({ fence }) => fence.get("c:f:t:a")?.["value"])).toBe("1");
    file.close();
  });

  test("a connection that failed is opened again", () => {
    using folder = new Folder();
    let lost = 0;
    const file = new SqliteFile(folder.file(), () => lost++);
    const fail = (): void => {
      file.use(() => {
        throw Object.assign(new Error("disk"), { errcode: 10, errstr: "disk I/O error" });
      });
    };
    expect(fail).toThrow(/disk I\/O error/);
    expect(lost).toBe(1);
    expect(file.current()).toBeUndefined();
    expect(file.use(({ totals }) => totals.get()?.["entries"])).toBe(0);
    file.close();
  });
});

describe("what went wrong", () => {
  test.each([
    [{ errcode: 5 }, "busy"],
    [{ errcode: 261 }, "busy"],
    [{ errcode: 6 }, "busy"],
    [{ errcode: 1032 }, "readonly"],
    [{ errcode: 266 }, "unavailable"],
    [{ errcode: 11 }, "corrupt"],
    [{ errcode: 13 }, "full"],
    [{ errcode: 14 }, "unavailable"],
    [{ errcode: 26 }, "foreign"],
    [{ errcode: 1 }, "failed"],
    [{ code: "EROFS" }, "readonly"],
    [{ code: "EACCES" }, "unavailable"],
    [{ code: "ENOSPC" }, "full"],
    [{ code: "ERR_INVALID_STATE" }, "failed"],
    [{}, "failed"],
  ])("%o has a reason: %s", (fields, reason) => {
    const cause = Object.assign(new Error("why"), fields);
    expect(sqliteError(cause, "/cache.db")).toMatchObject({ code: "CACHE_STORE", reason, cause });
  });
});
