import { randomBytes } from "node:crypto";
import { StoreError } from "./errors.ts";
import type { FenceMirror, MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";
import { isFence } from "./shared-store.ts";
import type { Statements } from "./sqlite-file.ts";
import { SqliteFile } from "./sqlite-file.ts";
import { SqliteMirror } from "./sqlite-mirror.ts";
import type { SqliteSettings, SqliteStoreOptions } from "./sqlite-options.ts";
import { resolveSqliteOptions } from "./sqlite-options.ts";
import { lockWaitMs } from "./sqlite-place.ts";

/** Rows that one call removes at most of each kind: what expired, and what has to make room. */
const expiredRows = 64;
const evictedRows = 256;
const maxPauseMs = 50;
const never = 2 ** 53 - 1;

/**
 * Entries and fences in one SQLite file that the processes of a host share. SQLite works on the calling thread, so what one call
 * costs is bounded: the rows it removes, the pages it checkpoints, the size of a value, and 10 ms of waiting for a lock; then it lets
 * the event loop go on and tries again, within `busyTimeoutMs`.
 */
export class SqliteStore implements SharedStore {
  readonly mirror: FenceMirror;
  readonly #settings: SqliteSettings;
  readonly #file: SqliteFile;
  readonly #mirror: SqliteMirror;
  /** With a count it makes values that no file has ever had, whatever happened to the file. */
  readonly #base = randomBytes(12).toString("base64url");
  #count = 0;

  /** @throws CacheOptionError */
  constructor(options: SqliteStoreOptions) {
    this.#settings = resolveSqliteOptions(options);
    this.#file = new SqliteFile(options.path, () => this.#mirror.clear());
    this.#mirror = new SqliteMirror(this.#file);
    this.mirror = this.#mirror;
  }

  /** @throws StoreError */
  async read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return this.#patiently(() =>
      this.#file.use((statements) => {
        this.#mirror.look(statements);
        return keys.map((key) =>
          isFence(key)
            ? this.#readFence(statements, key)
            : textOf(statements.entry.get(key, Date.now())),
        );
      }),
    );
  }

  /** @throws StoreError; its reason is "too-large" for a value that has no room. */
  async write(entries: readonly StoreWrite[]): Promise<void> {
    const { maxValueBytes, maxBytes } = this.#settings;
    const sized = entries.map((entry) => ({ ...entry, bytes: bytesOf(entry) }));
    const bytes = sized.reduce((sum, entry) => sum + entry.bytes, 0);
    if (sized.some((entry) => entry.bytes > maxValueBytes) || bytes > maxBytes)
      throw new StoreError(`an entry of ${bytes} bytes is larger than maxValueBytes or maxBytes`, {
        reason: "too-large",
      });
    const room = await this.#patiently(() =>
      this.#file.change(false, (statements) => {
        for (const { key } of sized) statements.removeEntry.run(key);
        if (!this.#makeRoom(statements, sized.length, bytes)) return false;
        for (const { key, value, expiresInMs, bytes: size } of sized)
          statements.addEntry.run(key, value, expiryOf(expiresInMs), size);
        return true;
      }),
    );
    if (!room)
      throw new StoreError(
        `no room for ${bytes} bytes after removing the ${evictedRows} oldest entries`,
        { reason: "too-large" },
      );
  }

  /** @throws StoreError */
  async remove(key: string): Promise<void> {
    await this.#patiently(() =>
      this.#file.change(false, (statements) => statements.removeEntry.run(key)),
    );
  }

  /**
   * Resolves when the fences are on the disk, unless they are only created. Where the disk is full it begins a new file, without
   * any entries.
   *
   * @throws StoreError
   */
  async moveFences(
    keys: readonly string[],
    { lifetimeMs, create = false }: MoveOptions,
  ): Promise<ReadonlyMap<string, string>> {
    const expires = expiryOf(lifetimeMs);
    return this.#patiently(() => {
      try {
        return this.#setFences(keys, expires, create);
      } catch (error) {
        if (create || !isFull(error)) throw error;
        // Entries cannot be removed without space for the log of it. Without the file all of them are invalid.
        this.#file.discard();
        return this.#setFences(keys, expires, create);
      }
    });
  }

  /** Closes the connection; the file stays. */
  async close(): Promise<void> {
    this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #setFences(
    keys: readonly string[],
    expires: number,
    create: boolean,
  ): ReadonlyMap<string, string> {
    try {
      const values = new Map<string, string>();
      const removed = this.#file.change(!create, (statements) => {
        const pruned = this.#pruneFences(statements, keys.length);
        for (const key of keys) {
          const present = create ? textOf(statements.fence.get(key)) : undefined;
          values.set(key, present ?? this.#setFence(statements, key, expires));
        }
        return pruned;
      });
      if (removed) this.#mirror.clear();
      this.#mirror.change(values);
      return values;
    } catch (error) {
      // Whether they moved may be unknown.
      this.#mirror.clear();
      throw error;
    }
  }

  #setFence(statements: Statements, key: string, expires: number): string {
    const value = this.#nextValue();
    statements.removeFence.run(key);
    statements.addFence.run(key, value, expires, isCommon(key) ? 1 : 0);
    return value;
  }

  /** What was computed under a fence that goes is invalid, so the oldest may go. */
  #pruneFences(statements: Statements, added: number): boolean {
    const expired = statements.expireFences.run(Date.now(), expiredRows).changes;
    const excess = numberOf(statements.totals.get(), "fences") + added - this.#settings.maxFences;
    if (excess <= 0) return expired !== 0;
    statements.evictFences.run(Math.min(excess, evictedRows));
    return true;
  }

  #makeRoom(statements: Statements, added: number, addedBytes: number): boolean {
    const { maxEntries, maxBytes } = this.#settings;
    statements.expireEntries.run(Date.now(), expiredRows);
    const totals = statements.totals.get();
    let rows = numberOf(totals, "entries") + added - maxEntries;
    let bytes = numberOf(totals, "bytes") + addedBytes - maxBytes;
    if (rows <= 0 && bytes <= 0) return true;
    let last = 0;
    for (const row of statements.oldestEntries.all(evictedRows)) {
      if (rows <= 0 && bytes <= 0) break;
      last = numberOf(row, "id");
      rows--;
      bytes -= numberOf(row, "bytes");
    }
    statements.removeEntriesTo.run(last);
    return rows <= 0 && bytes <= 0;
  }

  #readFence(statements: Statements, key: string): string | undefined {
    const value = textOf(statements.fence.get(key));
    if (value !== undefined) this.#mirror.keep(key, value);
    return value;
  }

  #nextValue(): string {
    return `${this.#base}${(++this.#count).toString(36)}`;
  }

  async #patiently<T>(act: () => T): Promise<T> {
    const { busyTimeoutMs } = this.#settings;
    let spentMs = 0;
    for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
      try {
        return act();
      } catch (error) {
        const busy = error instanceof StoreError && error.reason === "busy";
        if (!busy || spentMs >= busyTimeoutMs) throw error;
      }
      await this.#pause(pauseMs);
      spentMs += lockWaitMs + pauseMs;
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#settings.timers.set(resolve, delayMs);
    });
  }
}

export function sqliteStore(options: SqliteStoreOptions): SqliteStore {
  return new SqliteStore(options);
}

function isFull(error: unknown): boolean {
  return error instanceof StoreError && error.reason === "full";
}

/** A few that every entry needs. */
function isCommon(fence: string): boolean {
  return /^[^:]*:f:(?:any$|all$|k:)/.test(fence);
}

function bytesOf({ key, value }: StoreWrite): number {
  return Buffer.byteLength(key) + Buffer.byteLength(value);
}

function expiryOf(lifetimeMs: number | undefined): number {
  return Math.min(never, Math.ceil(Date.now() + (lifetimeMs ?? Infinity)));
}

type Row = Readonly<Record<string, unknown>> | undefined;

function textOf(row: Row): string | undefined {
  const value = row?.["value"];
  return typeof value === "string" ? value : undefined;
}

function numberOf(row: Row, column: string): number {
  return Number(row?.[column]);
}
