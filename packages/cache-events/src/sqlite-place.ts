import { closeSync, lstatSync, openSync, readlinkSync, rmSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { addSchema, isOurs } from "./sqlite-schema.ts";

/** How long one synchronous call may wait for a lock, in ms. */
export const lockWaitMs = 10;

/** What tells a file from those that had its name before. An inode number returns once nobody has the file; a time of birth does not. */
export interface FileStamp {
  readonly dev: number;
  readonly ino: number;
  readonly birthtimeMs: number;
}

/** The file, its `-wal` and its `-shm`. */
export type FileStamps = readonly FileStamp[];
type FoundStamps = readonly (FileStamp | undefined)[];

const lockSchema = "CREATE TABLE files (stamps TEXT NOT NULL)";

/**
 * The files at a path: which of them belong together, and the lock under which they are made, opened and closed.
 *
 * SQLite takes what it finds by name. A new file would take up a `-wal` that was left by the one before; a file whose `-wal` was
 * deleted would be taken for complete, as it was before the last commits; and somebody who comes while files are being deleted would
 * work beside the others without a sign. A small database of its own, `-lock`, records which files belong together, by what no other
 * file has. Files that are not as recorded are not used: they are deleted, and with new ones everything is computed anew.
 */
export class SqlitePlace {
  /** Where the file is, in whose folder SQLite keeps the others. */
  readonly path: string;
  readonly #names: readonly string[];
  readonly #lockPath: string;

  constructor(path: string) {
    this.path = targetOf(path);
    this.#names = [this.path, `${this.path}-wal`, `${this.path}-shm`];
    this.#lockPath = `${this.path}-lock`;
  }

  /** Whether these are at the path. Whoever asks has them open, so nothing else can have their inode numbers. */
  has(stamps: FileStamps): boolean {
    return stamps.every(({ dev, ino }, index) => {
      const found = statSync(this.#names[index] ?? "", { throwIfNoEntry: false });
      return found !== undefined && found.ino === ino && found.dev === dev;
    });
  }

  /**
   * While it acts nobody else opens or closes the files in an orderly way.
   *
   * @throws what SQLite throws, "busy" when another process has the lock.
   */
  alone<T>(act: (lock: PlaceLock) => T): T {
    if (stampOf(this.#lockPath) === undefined) createFile(this.#lockPath);
    const before = stampOf(this.#lockPath);
    const database = new DatabaseSync(this.#lockPath, { timeout: lockWaitMs });
    try {
      // The lock alone needs no space on the disk, and leaves no journal. What is recorded is on the disk before it counts.
      database.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE");
      if (!isOurs(database, this.#lockPath)) addSchema(database, lockSchema);
      const held = (): boolean => before !== undefined && isSame(stampOf(this.#lockPath), before);
      return act(new PlaceLock(this.path, this.#names, database, held));
    } finally {
      database.close();
    }
  }
}

/** What may be done to the files by whoever has the lock. */
export class PlaceLock {
  readonly #path: string;
  readonly #names: readonly string[];
  readonly #database: DatabaseSync;
  readonly #held: () => boolean;

  constructor(path: string, names: readonly string[], database: DatabaseSync, held: () => boolean) {
    this.#path = path;
    this.#names = names;
    this.#database = database;
    this.#held = held;
  }

  /** The files that there are when they are as recorded, otherwise new ones. @throws StoreError for a file that is not ours. */
  keepOrCreate(): FoundStamps {
    const found = this.#found();
    if (found[0] !== undefined && textOf(found) === this.#recorded()) return found;
    this.clear();
    createFile(this.#path);
    return this.#found();
  }

  /**
   * What is at the path now, if that is what SQLite opened since `found`; otherwise `undefined`. What was there before and is there
   * now was there in between. What was not is ours: who else would have made it would have had the lock, and the lock was not
   * deleted.
   */
  recordOpened(found: FoundStamps): FileStamps | undefined {
    const now = this.#found();
    const ours = now.every(
      (stamp, index) =>
        stamp !== undefined && (found[index] === undefined || isSame(found[index], stamp)),
    );
    if (!ours) return undefined;
    this.#record(now);
    return this.#held() ? (now as FileStamps) : undefined;
  }

  /** The file is complete without the others. */
  recordClosed([main]: FileStamps): void {
    const file = stampOf(this.#path);
    if (main !== undefined && isSame(file, main)) this.#record([main, undefined, undefined]);
  }

  /** Deletes what there is: first the file, so that closing it does not reach for the others by name. @throws StoreError for a file that is not ours. */
  clear(): void {
    if ((statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > 0) this.#checkOurs();
    for (const name of this.#names) rmSync(name, { force: true });
  }

  #checkOurs(): void {
    const database = new DatabaseSync(this.#path, { timeout: lockWaitMs });
    try {
      isOurs(database, this.#path);
    } finally {
      database.close();
    }
  }

  #found(): FoundStamps {
    return this.#names.map(stampOf);
  }

  #recorded(): unknown {
    return this.#database.prepare("SELECT stamps FROM files").get()?.["stamps"];
  }

  /** The last thing done with the lock. */
  #record(stamps: FoundStamps): void {
    const text = textOf(stamps);
    if (text === this.#recorded()) return;
    this.#database.exec("DELETE FROM files");
    this.#database.prepare("INSERT INTO files VALUES (?)").run(text);
    this.#database.exec("COMMIT");
  }
}

/** Behind symbolic links, also one to a file that is yet to be made. */
function targetOf(path: string): string {
  let target = path;
  for (let links = 0; links < 32; links++) {
    if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() !== true) break;
    target = resolve(dirname(target), readlinkSync(target));
  }
  return target;
}

function stampOf(path: string): FileStamp | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && { dev: found.dev, ino: found.ino, birthtimeMs: found.birthtimeMs };
}

function isSame(one: FileStamp | undefined, other: FileStamp): boolean {
  return one !== undefined && textOf([one]) === textOf([other]);
}

function textOf(stamps: FoundStamps): string {
  return JSON.stringify(stamps.map((stamp) => stamp && [stamp.dev, stamp.ino, stamp.birthtimeMs]));
}

/** For its owner only. Somebody else may be faster. */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
