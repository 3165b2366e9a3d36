import { statSync, type Stats } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "../../errors.ts";
import { probe } from "./probe.ts";
import { isBusy, isCorrupt, isNotADatabase } from "./result-codes.ts";
import { prepareSchema } from "./schema.ts";
import { Statements } from "./statements.ts";

/** How long the start waits for another process; nothing is served yet that it could hold up. */
const OPEN_TIMEOUT_MS = 5_000;
/**
 * Afterwards SQLite itself waits this long only, because the event loop stands still meanwhile: enough for the moment in which
 * another process opens or closes the file. Whoever needs longer asks again.
 */
const BUSY_TIMEOUT_MS = 2;
/** A larger file is not read through at the start; its ends are. */
const MAX_CHECKED_BYTES = 64 * 1024 * 1024;

/**
 * Opens (or creates) the database file. WAL lets readers and one writer of several processes work at the same time;
 * `synchronous = FULL` makes a committed write survive a crash of the process and of the machine.
 * @throws StoreOpenError when the file cannot be opened, is damaged or no SQLite database, or belongs to another program.
 */
export function openDatabase(file: string): DatabaseSync {
  refuseDevice(file);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: OPEN_TIMEOUT_MS, enableForeignKeyConstraints: true });
    prepareSchema(db, file);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    check(db, file);
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    return db;
  } catch (error) {
    db?.close();
    throw error instanceof StoreOpenError ? error : describe(error, file);
  }
}

/** SQLite would open a folder, a device or a pipe, and fail later with a message that does not say so. */
function refuseDevice(file: string): void {
  const stats = file === ":memory:" ? undefined : statsOf(file);
  if (stats !== undefined && !stats.isFile()) throw cannotOpen(file, "it is not a regular file");
}

function statsOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw describe(error, file);
  }
}

function check(db: DatabaseSync, file: string): void {
  try {
    probe(new Statements(db));
  } catch (error) {
    throw isBusy(error) ? error : damaged(file, (error as Error).message, error);
  }
  if (bytesOf(db) > MAX_CHECKED_BYTES) return;
  const found = Object.values(db.prepare("PRAGMA quick_check(1)").get() ?? {})[0];
  if (found !== "ok") throw damaged(file, String(found));
}

function bytesOf(db: DatabaseSync): number {
  const sql = "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size";
  return (db.prepare(sql).get() as { bytes: number }).bytes;
}

function describe(error: unknown, file: string): StoreOpenError {
  const { message, code } = error as NodeJS.ErrnoException;
  if (isNotADatabase(error))
    return new StoreOpenError(
      `The file ${file} is not a SQLite database; it was left untouched. Name a new or an mcp-accel file with --store.`,
      { cause: error },
    );
  if (isCorrupt(error)) return damaged(file, message, error);
  if (isBusy(error))
    return new StoreOpenError(
      `The database ${file} stayed locked for ${OPEN_TIMEOUT_MS} ms by another process. Stop that process, or name another file with --store.`,
      { cause: error },
    );
  const reason = code === undefined || message.includes(code) ? message : `${message} (${code})`;
  return cannotOpen(file, reason, error);
}

function damaged(file: string, found: string, cause?: unknown): StoreOpenError {
  return new StoreOpenError(
    `The database ${file} is damaged: ${found}. Restore it from a copy, or name another file with --store.`,
    { cause },
  );
}

function cannotOpen(file: string, reason: string, cause?: unknown): StoreOpenError {
  return new StoreOpenError(
    `Cannot open the database ${file}: ${reason}. Name a file in a folder that exists and that you can write to with --store.`,
    { cause },
  );
}
