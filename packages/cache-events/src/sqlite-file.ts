import { closeSync, openSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { StatementSync } from "node:sqlite";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./errors.ts";
import { foreignFile, sqliteError } from "./sqlite-errors.ts";

const applicationId = 0x6d636365;
const schemaVersion = 1;
/** How long one synchronous call may wait for a lock, in ms. */
export const lockWaitMs = 10;
/** Checkpointing this many pages is the most that a commit does beside its own work. */
const checkpointPages = 250;
const walBytes = 4 * 1024 * 1024;

const schema = `
CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, expires INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX entries_expires ON entries (expires);
CREATE TABLE fences (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, expires INTEGER NOT NULL, common INTEGER NOT NULL);
CREATE INDEX fences_expires ON fences (expires);
CREATE INDEX fences_common ON fences (common, id);
CREATE TABLE totals (id INTEGER PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL, fences INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0, 0, 0);
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN UPDATE totals SET entries = entries + 1, bytes = bytes + NEW.bytes; END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN UPDATE totals SET entries = entries - 1, bytes = bytes - OLD.bytes; END;
CREATE TRIGGER fence_added AFTER INSERT ON fences BEGIN UPDATE totals SET fences = fences + 1; END;
CREATE TRIGGER fence_removed AFTER DELETE ON fences BEGIN UPDATE totals SET fences = fences - 1; END;
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
`;

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
  readonly dev: number;
  readonly ino: number;
}

/**
 * One connection to the file, opened when it is needed and again when the file was replaced or the connection failed. It is nobody
 * else's: `data_version` tells of no commit on the same connection, and stands still while a transaction or a cursor is open on it.
 */
export class SqliteFile {
  readonly path: string;
  readonly #lost: () => void;
  #connection: Connection | undefined;
  #closed = false;

  /** `lost` is called when the connection goes, and with it what was known of the file. */
  constructor(path: string, lost: () => void) {
    this.path = resolve(path);
    this.#lost = lost;
  }

  /** `undefined` when the file is not open, or no longer the one at the path. */
  current(): Statements | undefined {
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    const stat = statSync(this.path, { throwIfNoEntry: false });
    if (stat?.ino === connection.ino && stat.dev === connection.dev) return connection.statements;
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

  /** Like `use`, in a transaction that is durable when this returns; on `flush` also against a loss of power. @throws StoreError */
  change<T>(flush: boolean, act: (statements: Statements) => T): T {
    return this.use((statements) => {
      const database = this.#connection?.database;
      database?.exec(flush ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
      database?.exec("BEGIN IMMEDIATE");
      try {
        const result = act(statements);
        database?.exec("COMMIT");
        return result;
      } catch (error) {
        rollBack(database);
        throw error;
      }
    });
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #open(): Statements {
    closeSync(openSync(this.path, "a", 0o600));
    const database = new DatabaseSync(this.path, { timeout: lockWaitMs });
    try {
      const { dev, ino } = statSync(this.path);
      prepareFile(database, this.path);
      const prepared = Object.entries(queries).map(
        ([name, sql]) => [name, database.prepare(sql)] as const,
      );
      const statements = Object.fromEntries(prepared) as Statements;
      this.#connection = { database, statements, dev, ino };
      return statements;
    } catch (error) {
      database.close();
      throw error;
    }
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
    try {
      connection.database.close();
    } catch {
      // It is given up either way.
    }
  }
}

function prepareFile(database: DatabaseSync, path: string): void {
  if (!isOurs(database, path)) create(database, path);
  const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal")
    throw new StoreError(`${path}: no write-ahead log here; use a file on a local disk`, {
      reason: "unavailable",
    });
  database.exec(
    `PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${walBytes}; PRAGMA trusted_schema = OFF`,
  );
}

/** Another process may be creating it at this moment, too. */
function create(database: DatabaseSync, path: string): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    if (!isOurs(database, path)) database.exec(schema);
    database.exec("COMMIT");
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

/** `false` for an empty file. @throws StoreError for anything else that this version did not make. */
function isOurs(database: DatabaseSync, path: string): boolean {
  const id = database.prepare("PRAGMA application_id").get()?.["application_id"];
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"];
  if (id === applicationId && version === schemaVersion) return true;
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.["count"];
  if (id !== 0 || version !== 0 || tables !== 0) throw foreignFile(path);
  return false;
}

function rollBack(database: DatabaseSync | undefined): void {
  try {
    database?.exec("ROLLBACK");
  } catch {
    // SQLite rolled back by itself, or the connection is beyond it.
  }
}
