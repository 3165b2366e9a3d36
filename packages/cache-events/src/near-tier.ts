import { EntryTable } from "./entry-table.ts";
import { CacheOptionError } from "./errors.ts";
import { unmoved } from "./fence.ts";
import type { Host } from "./host.ts";
import type { Entry } from "./memory-tier.ts";
import type { FenceMirror } from "./shared-store.ts";
import type { Spaces } from "./space.ts";
import type { Kept } from "./strict-store.ts";

/** What is in this process's memory beside the store. */
export interface NearUsage {
  readonly entries: number;
  readonly bytes: number;
  readonly ghosts: number;
}

/**
 * Entries of a shared store in this process's memory. One may be used while the mirror has every fence it was computed under at
 * its value, and while this process itself has moved none of them: a sequence of its own tells, so that an own invalidation,
 * confirmed or not, holds at once even where the mirror lags. Values are frozen, for all readers get the same one.
 */
export class NearTier {
  readonly #host: Host;
  readonly #mirror: FenceMirror;
  readonly #table: EntryTable;

  constructor(host: Host, mirror: FenceMirror) {
    this.#host = host;
    this.#mirror = mirror;
    this.#table = new EntryTable(host);
  }

  get spaces(): Spaces {
    return this.#table.spaces;
  }

  get usage(): NearUsage {
    const { entries, bytes, ghosts } = this.#table.tier;
    return { entries, bytes, ghosts };
  }

  /** The sequence of this process's last invalidation: what is read from the store from now on has seen it. */
  get seq(): number {
    return this.#table.line.seq;
  }

  find(key: string, namespace: string | undefined): Entry | undefined {
    return this.#vouchedFor(this.#table.find(key, namespace));
  }

  /** What `find` passes over: a value that is to be refreshed, though it has not expired. */
  due(key: string, namespace: string | undefined): Entry | undefined {
    return this.#vouchedFor(this.#table.due(key, namespace));
  }

  /** The entry whose fences hold, whatever its age. */
  held(key: string, namespace: string | undefined): Entry | undefined {
    return this.#vouchedFor(this.#table.held(key, namespace));
  }

  /** Keeps what the store has, if this process has moved none of its fences since the sequence was `born`. */
  put(key: string, namespace: string, kept: Kept, born: number): void {
    if (this.#host.closed !== undefined) return;
    const { value, fences } = kept;
    const { line, spaces } = this.#table;
    const size = this.#table.measure(value);
    const tags = fences.map(([fence]) => line.hold(fence));
    if (!unmoved(tags, born)) return line.release(tags);
    const values = fences.map(([, current]) => current);
    deepFreeze(value);
    const space = spaces.open(namespace);
    this.#table.put({ space, key, value, size, born, tags, values, life: kept });
  }

  drop(key: string, namespace: string): void {
    const entry = this.spaces.find(namespace)?.entries.get(key);
    if (entry !== undefined) this.#table.drop(entry);
  }

  /** This process has moved the fences, or tried to. */
  move(fences: readonly string[]): number {
    const { line } = this.#table;
    line.moveTags(fences);
    return line.seq;
  }

  close(): void {
    for (const space of this.spaces.all()) this.#table.empty(space);
  }

  #vouchedFor(entry: Entry | undefined): Entry | undefined {
    if (entry === undefined) return undefined;
    const version = this.#mirror.version();
    if (version === undefined) return undefined;
    if (entry.mirroredAt !== version) {
      if (!this.#isMirrored(entry)) return undefined;
      entry.mirroredAt = version;
    }
    if (entry.freq < 3) entry.freq++;
    return entry;
  }

  #isMirrored(entry: Entry): boolean {
    const { tags, values } = entry;
    return tags.every(({ tag }, index) => this.#mirror.valueOf(tag) === values[index]);
  }
}

/** Entries are kept near only where that is as strict as was asked for. @throws CacheOptionError */
export function nearTierOf(host: Host, mirror: FenceMirror | undefined): NearTier | undefined {
  const { consistency } = host.settings;
  if (mirror === undefined && consistency === "mirrored")
    throw new CacheOptionError(
      "consistency",
      '"strict" for a store that has no mirror of its fences',
      consistency,
    );
  const usable = mirror !== undefined && (mirror.strict || consistency === "mirrored");
  return usable ? new NearTier(host, mirror) : undefined;
}

/** Of what JSON can hold. */
function deepFreeze(value: unknown): void {
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== "object" || next === null) continue;
    Object.freeze(next);
    for (const item of Object.values(next)) if (typeof item === "object") pending.push(item);
  }
}
