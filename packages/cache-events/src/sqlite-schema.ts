import type { DatabaseSync } from "node:sqlite";
import { foreignFile } from "./sqlite-errors.ts";

const applicationId = 0x6d636365;
const schemaVersion = 1;

/** What a file of ours holds from the beginning. */
export const cacheSchema: string = `
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
`;

/** Makes the tables unless they are there; another process may do so at this moment, too. @throws StoreError for a file that is not ours. */
export function ensureSchema(database: DatabaseSync, path: string): void {
  if (isOurs(database, path)) return;
  database.exec("BEGIN IMMEDIATE");
  try {
    if (!isOurs(database, path)) addSchema(database, cacheSchema);
    database.exec("COMMIT");
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

/** In a transaction that is open. */
export function addSchema(database: DatabaseSync, schema: string): void {
  database.exec(
    `${schema}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`,
  );
}

/** `false` for an empty file. @throws StoreError for anything else that this version did not make. */
export function isOurs(database: DatabaseSync, path: string): boolean {
  const id = database.prepare("PRAGMA application_id").get()?.["application_id"];
  const version = database.prepare("PRAGMA user_version").get()?.["user_version"];
  if (id === applicationId && version === schemaVersion) return true;
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.["count"];
  if (id !== 0 || version !== 0 || tables !== 0) throw foreignFile(path);
  return false;
}

export function rollBack(database: DatabaseSync | undefined): void {
  try {
    database?.exec("ROLLBACK");
  } catch {
    // SQLite rolled back by itself, or the connection is beyond it.
  }
}
