import type { EvictEvent } from "./cache-events.ts";
import type { TagFence } from "./fence.ts";
import { FenceLine, unmoved } from "./fence.ts";
import type { Life } from "./freshness.ts";
import { Failure } from "./freshness.ts";
import type { Host } from "./host.ts";
import { Entry, MemoryTier } from "./memory-tier.ts";
import type { Selection } from "./selection.ts";
import type { Space } from "./space.ts";
import { Spaces } from "./space.ts";

const entryBytes = 200;
const tagBytes = 100;

export interface NewEntry {
  readonly space: Space;
  readonly key: string;
  readonly value: unknown;
  /** By `measure`, before anything else of the storing: it may call back into the cache. */
  readonly size: number;
  readonly born: number;
  /** Held for the entry; it lets them go with itself. */
  readonly tags: readonly TagFence[];
  readonly values?: readonly string[];
  readonly life: Life;
}

/** The entries of one process with their fences, and what room they take. */
export class EntryTable {
  readonly line: FenceLine = new FenceLine();
  readonly spaces: Spaces = new Spaces();
  readonly tier: MemoryTier;
  readonly #host: Host;
  readonly #clock: () => number;
  /** Announced once the table is consistent again: a listener may use the cache. */
  #evictions: EvictEvent[] = [];

  constructor(host: Host) {
    const { maxEntries, maxBytes, clock } = host.settings;
    this.#host = host;
    this.#clock = clock;
    this.tier = new MemoryTier({
      maxEntries,
      maxBytes,
      isDead: (entry) => !this.#holds(entry) || this.#clock() >= entry.staleUntil,
      evicted: (entry, dead) => this.#evicted(entry, dead),
    });
  }

  /** The entry, if a read may use it as it is. */
  find(key: string, namespace: string | undefined): Entry | undefined {
    const entry = this.spaces.find(namespace)?.entries.get(key);
    return entry !== undefined && this.#isFresh(entry) ? entry : undefined;
  }

  /** What `find` passes over: the entry whose fences hold, whatever its age, also when it is a failure. */
  held(key: string, namespace: string | undefined): Entry | undefined {
    const entry = this.spaces.find(namespace)?.entries.get(key);
    return entry !== undefined && this.#holds(entry) ? entry : undefined;
  }

  /** A value that has not expired, though `find` passes over it: it is to be refreshed. */
  due(key: string, namespace: string | undefined): Entry | undefined {
    const entry = this.held(key, namespace);
    if (entry === undefined || this.#clock() >= entry.expiresAt) return undefined;
    return entry.value instanceof Failure ? undefined : entry;
  }

  /** Whether the entry is still the one of its key, and nothing that it depends on was invalidated. */
  stands(entry: Entry): boolean {
    return entry.space.entries.get(entry.key) === entry && this.#holds(entry);
  }

  /** Says why a read has to miss, and removes the entry that no read may use. */
  clean(space: Space, key: string): "absent" | "expired" | "invalidated" {
    const entry = space.entries.get(key);
    if (entry === undefined) return "absent";
    const now = this.#clock();
    const holds = this.#holds(entry);
    if (!holds || now >= entry.staleUntil) this.drop(entry);
    if (now >= entry.expiresAt) return "expired";
    return holds ? "absent" : "invalidated";
  }

  /** Replaces what is there; `false` when the value is too large to keep. */
  put({ space, key, value, size, born, tags, values, life }: NewEntry): boolean {
    const { settings } = this.#host;
    this.remove(space, key);
    const bytes = size + entryBytes + 2 * key.length + tagBytes * tags.length;
    if (!(bytes <= settings.maxBytes)) {
      this.line.release(tags);
      return false;
    }
    const { renewAt, expiresAt, staleUntil } = life;
    const entry = new Entry({
      space,
      key,
      value,
      born,
      renewAt,
      expiresAt,
      staleUntil,
      tags,
      ...(values && { values }),
      bytes,
    });
    this.tier.add(entry);
    space.entries.set(key, entry);
    for (const tag of tags) tag.entries++;
    this.#announceEvictions();
    return true;
  }

  drop(entry: Entry): void {
    entry.space.entries.delete(entry.key);
    this.tier.remove(entry);
    for (const tag of entry.tags) tag.entries--;
    this.line.release(entry.tags);
  }

  remove(space: Space, key: string): void {
    const entry = space.entries.get(key);
    if (entry !== undefined) this.drop(entry);
  }

  /** The fence of one key: its entry goes, and its flight can neither store nor be joined. */
  fenceKey(space: Space, key: string): void {
    space.flights.delete(key);
    this.remove(space, key);
  }

  empty(space: Space): void {
    for (const entry of space.entries.values()) this.drop(entry);
  }

  /** Fences every key that matches; a flight counts as having all tags, for it may yet name any. */
  sweep({ tags, prefix = "", namespace }: Selection): void {
    const named = namespace === undefined ? undefined : this.spaces.find(namespace);
    const spaces = namespace === undefined ? this.spaces.all() : named === undefined ? [] : [named];
    for (const space of spaces) {
      for (const key of space.flights.keys()) if (key.startsWith(prefix)) space.flights.delete(key);
      for (const entry of space.entries.values()) {
        const tagged = tags === undefined || entry.tags.some(({ tag }) => tags.includes(tag));
        if (tagged && entry.key.startsWith(prefix)) this.drop(entry);
      }
    }
  }

  /** `#holds`, written out: this is what a hit costs. */
  #isFresh(entry: Entry): boolean {
    const { line } = this;
    const { born } = entry;
    if (entry.checkedAt !== line.seq) {
      if (line.everything.seq > born || entry.space.fence.seq > born || !unmoved(entry.tags, born))
        return false;
      entry.checkedAt = line.seq;
    }
    return this.#clock() < entry.renewAt;
  }

  #holds(entry: Entry): boolean {
    const { line } = this;
    if (entry.checkedAt === line.seq) return true;
    const { born } = entry;
    if (line.everything.seq > born || entry.space.fence.seq > born || !unmoved(entry.tags, born))
      return false;
    entry.checkedAt = line.seq;
    return true;
  }

  #evicted(entry: Entry, dead: boolean): void {
    this.drop(entry);
    if (dead) return;
    const { space, key, bytes } = entry;
    this.#host.counts.evictions++;
    space.counts.evictions++;
    if (this.#host.announcer.hears("evict"))
      this.#evictions.push({ key, namespace: space.name, bytes });
  }

  #announceEvictions(): void {
    if (this.#evictions.length === 0) return;
    const evictions = this.#evictions;
    this.#evictions = [];
    for (const event of evictions) this.#host.announcer.emit("evict", event);
  }

  /** Bytes of a value by `sizeOf`, which runs code of its own; `Infinity` when it throws. */
  measure(value: unknown): number {
    try {
      return Math.max(0, this.#host.settings.sizeOf(value));
    } catch {
      return Infinity;
    }
  }
}
