import type { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "../../errors.ts";

/** "mcac" in ASCII: marks a SQLite file as ours, so that another program's file is never written to. */
const APPLICATION_ID = 0x6d636163;

/** Version 1. An empty file gets it and every migration; none of these texts may change once released. */
const FIRST = `
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
`;

/**
 * Version 2 counts an agent's open tasks as they come and go, so that the least loaded agent is the first of an index whatever
 * the backlog. Triggers do it: they also bind a process of an older version that has the file open.
 */
const OPEN_TASKS = `
  ALTER TABLE agents ADD COLUMN open_tasks INTEGER NOT NULL DEFAULT 0;
  UPDATE agents SET open_tasks =
    (SELECT count(*) FROM tasks WHERE agent_id = agents.id AND tasks.status = 'assigned');
  DROP INDEX agents_by_swarm;
  CREATE INDEX agents_by_load ON agents (status, open_tasks);
  CREATE INDEX agents_by_swarm_load ON agents (swarm_id, status, open_tasks);
  CREATE TRIGGER task_opened AFTER INSERT ON tasks WHEN new.status = 'assigned' BEGIN
    UPDATE agents SET open_tasks = open_tasks + 1 WHERE id = new.agent_id;
  END;
  CREATE TRIGGER task_closed AFTER UPDATE OF status ON tasks
  WHEN old.status = 'assigned' AND new.status <> 'assigned' BEGIN
    UPDATE agents SET open_tasks = open_tasks - 1 WHERE id = old.agent_id;
  END;
`;

/** What leads from each version to the next. */
const STEPS: readonly string[] = [FIRST, OPEN_TASKS];
const SCHEMA_VERSION = STEPS.length;

/**
 * Creates the tables in an empty database, brings those of an older version up to date, or checks that the file is one of
 * ours. All of it or nothing: a process that dies in between leaves the file as it was.
 * @throws StoreOpenError when the file belongs to another program or a newer version.
 */
export function prepareSchema(db: DatabaseSync, file: string): void {
  if (versionOf(db, file) === SCHEMA_VERSION) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have done it while this one waited for the lock.
    for (const step of STEPS.slice(versionOf(db, file))) db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION};`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** The version of our tables in the file; 0 when it is empty. */
function versionOf(db: DatabaseSync, file: string): number {
  const applicationId = pragma(db, "application_id");
  const version = pragma(db, "user_version");
  if (applicationId === APPLICATION_ID) {
    if (version >= 1 && version <= SCHEMA_VERSION) return version;
    throw new StoreOpenError(
      `The database ${file} has schema version ${version}; this version of mcp-accel knows 1 to ${SCHEMA_VERSION}. Upgrade mcp-accel, or name another file with --store.`,
    );
  }
  const { tables } = db.prepare("SELECT count(*) AS tables FROM sqlite_schema").get() as {
    tables: number;
  };
  if (applicationId === 0 && tables === 0) return 0;
  throw new StoreOpenError(
    `The file ${file} is a SQLite database of another program; it was left untouched. Name a new or an mcp-accel file with --store.`,
  );
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
