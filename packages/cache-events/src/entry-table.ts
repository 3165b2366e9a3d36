import type { EvictEvent } from "./cache-events.ts";
import type { TagFence } from "./fence.ts";
import { FenceLine, unmoved } from "./fence.ts";
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
  readonly born: number;
  /** Held for the entry; it lets them go with itself. */
  readonly tags: readonly TagFence[];
  readonly values?: readonly string[];
  readonly expiresAt: number;
}

const noValues: readonly string[] = [];

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
      isDead: (entry) => !this.#isValid(entry),
      evicted: (entry, dead) => this.#evicted(entry, dead),
    });
  }

  /** The entry, if a read may use it. */
  find(key: string, namespace: string | undefined): Entry | undefined {
    const entry = this.spaces.find(namespace)?.entries.get(key);
    return entry !== undefined && this.#isValid(entry) ? entry : undefined;
  }

  /** Says why a read has to miss, and removes the entry that it may not use. */
  clean(space: Space, key: string): "absent" | "expired" | "invalidated" {
    const entry = space.entries.get(key);
    if (entry === undefined) return "absent";
    this.drop(entry);
    return this.#clock() >= entry.expiresAt ? "expired" : "invalidated";
  }

  /** Replaces what is there; `false` when the value is too large to keep. */
  put({ space, key, value, born, tags, values = noValues, expiresAt }: NewEntry): boolean {
    const { settings } = this.#host;
    const present = space.entries.get(key);
    if (present !== undefined) this.drop(present);
    const bytes = this.#sizeOf(value) + entryBytes + 2 * key.length + tagBytes * tags.length;
    if (!(bytes <= settings.maxBytes)) {
      this.line.release(tags);
      return false;
    }
    const entry = new Entry({ space, key, value, born, expiresAt, tags, values, bytes });
    this.tier.add(entry);
    space.entries.set(key, entry);
    this.#announceEvictions();
    return true;
  }

  drop(entry: Entry): void {
    entry.space.entries.delete(entry.key);
    this.tier.remove(entry);
    this.line.release(entry.tags);
  }

  /** The fence of one key: its entry goes, and its flight can neither store nor be joined. */
  fenceKey(space: Space, key: string): void {
    space.flights.delete(key);
    const entry = space.entries.get(key);
    if (entry !== undefined) this.drop(entry);
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

  #isValid(entry: Entry): boolean {
    const { line } = this;
    const { born } = entry;
    if (entry.checkedAt !== line.seq) {
      if (line.everything.seq > born || entry.space.fence.seq > born || !unmoved(entry.tags, born))
        return false;
      entry.checkedAt = line.seq;
    }
    return this.#clock() < entry.expiresAt;
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

  #sizeOf(value: unknown): number {
    try {
      return Math.max(0, this.#host.settings.sizeOf(value));
    } catch {
      return Infinity;
    }
  }
}
