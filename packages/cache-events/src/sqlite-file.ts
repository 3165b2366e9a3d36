import { resolve } from "node:path";
import type { StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./errors.ts";
import { sqliteError } from "./sqlite-errors.ts";
import type { FileStamps, PlaceLock } from "./sqlite-place.ts";
import { SqlitePlace, lockWaitMs } from "./sqlite-place.ts";
import { ensureSchema, rollBack } from "./sqlite-schema.ts";

/** Checkpointing this many pages is the most that a commit does beside its own work. */
const checkpointPages = 250;
const walBytes = 4 * 1024 * 1024;

const queries = {
  dataVersion: "PRAGMA data_version",
  entry: "SELECT value FROM entries WHERE key = ? AND expires > ?",
  addEntry: "INSERT INTO entries (key, value, expires, bytes) VALUES (?, ?, ?, ?)",
  removeEntry: "DELETE FROM entries WHERE key = ?",
  expireEntries:
    "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?)",
  oldestEntries: "SELECT id, bytes FROM entries ORDER BY id LIMIT ?",
  removeEntriesTo: "DELETE FROM entries WHERE id <= ?",
  fence: "SELECT value FROM fences WHERE key = ?",
  addFence: "INSERT INTO fences (key, value, expires, common) VALUES (?, ?, ?, ?)",
  removeFence: "DELETE FROM fences WHERE key = ?",
  expireFences:
    "DELETE FROM fences WHERE id IN (SELECT id FROM fences WHERE expires <= ? ORDER BY expires LIMIT ?)",
  evictFences:
    "DELETE FROM fences WHERE id IN (SELECT id FROM fences WHERE common = 0 ORDER BY id LIMIT ?)",
  totals: "SELECT entries, bytes, fences FROM totals",
} as const;

export type Statements = Readonly<Record<keyof typeof queries, StatementSync>>;

interface Connection {
  readonly database: DatabaseSync;
  readonly statements: Statements;
  readonly stamps: FileStamps;
}

/**
 * One connection to the file, opened when it is needed and again when the file was replaced or the connection failed. It is nobody
 * else's: `data_version` tells of no commit on the same connection, and stands still while a transaction or a cursor is open on it.
 *
 * Processes share what they read and write only while they have the same file, `-wal` and `-shm`, and any of these can be deleted
 * at any time. So every call looks whether those at the path are still its own, which nobody can have left who has them; a commit
 * counts only if they were there before and after.
 */
export class SqliteFile {
  readonly path: string;
  readonly #place: SqlitePlace;
  readonly #lost: () => void;
  #connection: Connection | undefined;
  #closed = false;

  /** `lost` is called when the connection goes, and with it what was known of the file. */
  constructor(path: string, lost: () => void) {
    this.path = resolve(path);
    this.#place = new SqlitePlace(this.path);
    this.#lost = lost;
  }

  /** `undefined` when the file is not open, or one of its files is no longer the one at the path. */
  current(): Statements | undefined {
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    if (this.#place.has(connection.stamps)) return connection.statements;
    this.#drop();
    return undefined;
  }

  /** @throws StoreError */
  use<T>(act: (statements: Statements) => T): T {
    if (this.#closed) throw new StoreError(`${this.path} is closed`, { reason: "closed" });
    try {
      return act(this.current() ?? this.#open());
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Like `use`, in a transaction that is durable when this returns; on `flush` also against a loss of power.
   *
   * @throws StoreError; its reason is "busy" when the file was deleted meanwhile.
   */
  change<T>(flush: boolean, act: (statements: Statements) => T): T {
    return this.use((statements) => {
      const database = this.#connection?.database;
      database?.exec(flush ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      database?.exec("BEGIN IMMEDIATE");
      try {
        const result = act(statements);
        database?.exec("COMMIT");
        if (this.current() === undefined) throw deletedMeanwhile(this.path);
        return result;
      } catch (error) {
        rollBack(database);
        throw error;
      }
    });
  }

  /** Begins anew with empty files, which invalidates everything and frees what they took. @throws StoreError */
  discard(): void {
    if (this.#closed) return;
    this.#drop();
    try {
      this.#place.alone((lock) => lock.clear());
    } catch (error) {
      throw sqliteError(error, this.path);
    }
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #open(): Statements {
    this.#connection = this.#place.alone((lock) => connect(this.#place.path, lock));
    return this.#connection.statements;
  }

  #failed(error: unknown): StoreError {
    const failure = sqliteError(error, this.path);
    if (failure.reason !== "busy" && failure.reason !== "too-large" && failure.reason !== "full")
      this.#drop();
    return failure;
  }

  #drop(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#lost();
    this.#complete(connection);
    closeQuietly(connection.database);
  }

  /**
   * Whoever is the last to have the files leaves one that is complete without the others; leaving the write-ahead log succeeds for
   * nobody else. Without the record the files count as lost. They hold nothing but a cache.
   */
  #complete({ database, stamps }: Connection): void {
    try {
      if (!this.#place.has(stamps)) return;
      this.#place.alone((lock) => {
        const mode = database.prepare("PRAGMA journal_mode = DELETE").get()?.["journal_mode"];
        if (mode === "delete") lock.recordClosed(stamps);
      });
    } catch {
      // Others have it open, or it is beyond that.
    }
  }
}

/** The files that others use, or new ones if those are not complete. */
function connect(path: string, lock: PlaceLock): Connection {
  const found = lock.keepOrCreate();
  const database = new DatabaseSync(path, { timeout: lockWaitMs });
  try {
    prepareFile(database, path);
    const prepared = Object.entries(queries).map(
      ([name, sql]) => [name, database.prepare(sql)] as const,
    );
    const statements = Object.fromEntries(prepared) as Statements;
    // From the first read on the -wal and the -shm are open.
    statements.totals.get();
    const stamps = lock.recordOpened(found);
    if (stamps === undefined) throw deletedMeanwhile(path);
    return { database, statements, stamps };
  } catch (error) {
    closeQuietly(database);
    throw error;
  }
}

function prepareFile(database: DatabaseSync, path: string): void {
  ensureSchema(database, path);
  const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal")
    throw new StoreError(`${path}: no write-ahead log here; use a file on a local disk`, {
      reason: "unavailable",
    });
  database.exec(
    `PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${walBytes}; PRAGMA trusted_schema = OFF`,
  );
}

function deletedMeanwhile(path: string): StoreError {
  return new StoreError(`${path} was deleted or replaced meanwhile`, { reason: "busy" });
}

function closeQuietly(database: DatabaseSync): void {
  try {
    database.close();
  } catch {
    // It is given up either way.
  }
}
