import { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "../../errors.ts";
import { prepareSchema } from "./schema.ts";

/** How long a writer waits for another process's transaction before it fails. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens (or creates) the database file. WAL lets readers and one writer of several processes work at the same time;
 * `synchronous = FULL` makes a committed write survive a crash of the process and of the machine.
 * @throws StoreOpenError when the file cannot be opened, is no SQLite database, or belongs to another program.
 */
export function openDatabase(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
    prepareSchema(db, file);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    return db;
  } catch (error) {
    db?.close();
    throw error instanceof StoreOpenError ? error : describe(error, file);
  }
}

function describe(error: unknown, file: string): StoreOpenError {
  const { message, code } = error as NodeJS.ErrnoException;
  if (/not a database/i.test(message))
    return new StoreOpenError(
      `The file ${file} is not a SQLite database; it was left untouched. Name a new or an mcp-accel file with --store.`,
      { cause: error },
    );
  if (/locked|busy/i.test(message))
    return new StoreOpenError(
      `The database ${file} stayed locked for ${BUSY_TIMEOUT_MS} ms by another process. Stop that process, or name another file with --store.`,
      { cause: error },
    );
  return new StoreOpenError(
    `Cannot open the database ${file}: ${message}${code === undefined || message.includes(code) ? "" : ` (${code})`}. Name a file in a folder that exists and that you can write to with --store.`,
    { cause: error },
  );
}
