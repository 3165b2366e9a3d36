import type { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "../../errors.ts";

/** "mcac" in ASCII: marks a SQLite file as ours, so that another program's file is never written to. */
const APPLICATION_ID = 0x6d636163;
const SCHEMA_VERSION = 1;

const SCHEMA = `
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
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Creates the tables in an empty database, or checks that the file is one of ours.
 * @throws StoreOpenError when the file belongs to another program or a newer version.
 */
export function prepareSchema(db: DatabaseSync, file: string): void {
  if (isOurs(db, file)) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have created the tables while this one waited for the lock.
    if (!isOurs(db, file)) db.exec(SCHEMA);
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

function isOurs(db: DatabaseSync, file: string): boolean {
  const applicationId = pragma(db, "application_id");
  const version = pragma(db, "user_version");
  if (applicationId === APPLICATION_ID) {
    if (version === SCHEMA_VERSION) return true;
    throw new StoreOpenError(
      `The database ${file} has schema version ${version}; this version of mcp-accel knows ${SCHEMA_VERSION}. Upgrade mcp-accel, or name another file with --store.`,
    );
  }
  const { tables } = db.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as {
    tables: number;
  };
  if (applicationId === 0 && tables === 0) return false;
  throw new StoreOpenError(
    `The file ${file} is a SQLite database of another program; it was left untouched. Name a new or an mcp-accel file with --store.`,
  );
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
