import type { FenceMirror } from "./shared-store.ts";
import type { SqliteFile, Statements } from "./sqlite-file.ts";

const maxValues = 10_000;

/**
 * The fences as last read, valid while `PRAGMA data_version` is unchanged: it changes with every commit of another connection that
 * came since it was last asked, whatever this one did in between. The store tells of its own commits, which it does not show.
 *
 * What is read here was read after the last look at `data_version`. If another commit comes after that read, the next look differs;
 * if it came between the two, the value is the newer one already.
 */
export class SqliteMirror implements FenceMirror {
  readonly strict = true;
  readonly #file: SqliteFile;
  readonly #values = new Map<string, string>();
  #version = 0;
  #dataVersion: unknown;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  version(): number | undefined {
    try {
      const statements = this.#file.current();
      if (statements === undefined) return undefined;
      this.look(statements);
      return this.#version;
    } catch {
      return undefined;
    }
  }

  valueOf(fence: string): string | undefined {
    const known = this.#values.get(fence);
    if (known !== undefined) return known;
    try {
      const statements = this.#file.current();
      const value = statements?.fence.get(fence)?.["value"];
      if (typeof value !== "string") return undefined;
      this.keep(fence, value);
      return value;
    } catch {
      return undefined;
    }
  }

  /** Forgets what other connections may have changed. Outside a transaction, and before what is to be kept is read. */
  look(statements: Statements): void {
    const dataVersion = statements.dataVersion.get()?.["data_version"];
    if (dataVersion === this.#dataVersion) return;
    this.clear();
    this.#dataVersion = dataVersion;
  }

  /** This connection has given fences other values. */
  change(values: ReadonlyMap<string, string>): void {
    this.#version++;
    for (const [fence, value] of values) this.keep(fence, value);
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#version++;
    this.#values.clear();
    this.#dataVersion = undefined;
  }

  keep(fence: string, value: string): void {
    if (this.#values.size >= maxValues) this.#values.clear();
    this.#values.set(fence, value);
  }
}
