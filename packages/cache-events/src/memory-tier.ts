import type { TagFence } from "./fence.ts";
import { hashOf } from "./fence.ts";
import { FifoList } from "./fifo-list.ts";
import { Ghosts } from "./ghosts.ts";
import type { Space } from "./space.ts";

export interface EntryInit {
  readonly space: Space;
  readonly key: string;
  readonly value: unknown;
  readonly born: number;
  readonly expiresAt: number;
  /** Left out: `expiresAt`. */
  readonly renewAt?: number;
  /** Left out: `expiresAt`. */
  readonly staleUntil?: number;
  readonly tags: readonly TagFence[];
  readonly bytes: number;
}

export class Entry {
  readonly space: Space;
  readonly key: string;
  readonly value: unknown;
  /** The sequence at which its compute began. */
  readonly born: number;
  /** Until here a hit is just a hit. */
  renewAt: number;
  readonly expiresAt: number;
  readonly staleUntil: number;
  readonly tags: readonly TagFence[];
  readonly bytes: number;
  /** The sequence up to which its fences are known not to have moved. */
  checkedAt = -1;
  /** Hits since it was last considered for eviction, at most 3. */
  freq = 0;
  list: FifoList<Entry> | undefined;
  newer: Entry | undefined;
  older: Entry | undefined;

  constructor(init: EntryInit) {
    this.space = init.space;
    this.key = init.key;
    this.value = init.value;
    this.born = init.born;
    this.renewAt = init.renewAt ?? init.expiresAt;
    this.expiresAt = init.expiresAt;
    this.staleUntil = init.staleUntil ?? init.expiresAt;
    this.tags = init.tags;
    this.bytes = init.bytes;
  }
}

export interface MemoryTierOptions {
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** An entry that no read may use any more; it goes first. */
  isDead(entry: Entry): boolean;
  /** Called for every entry the tier gives up by itself. */
  evicted(entry: Entry, dead: boolean): void;
}

const smallShare = 0.1;

/**
 * S3-FIFO (Yang, Zhang, Qiu, Yue, Vinayak: "FIFO queues are all you need for cache eviction", SOSP 2023): new entries pass
 * through a small queue, those used again move to the main queue, and a key seen again soon after its eviction goes there at once.
 */
export class MemoryTier {
  readonly #options: MemoryTierOptions;
  readonly #small = new FifoList<Entry>();
  readonly #main = new FifoList<Entry>();
  readonly #ghosts = new Ghosts();

  constructor(options: MemoryTierOptions) {
    this.#options = options;
  }

  get entries(): number {
    return this.#small.length + this.#main.length;
  }

  get bytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  get ghosts(): number {
    return this.#ghosts.size;
  }

  /** Makes room first. The entry must not be larger than `maxBytes`. */
  add(entry: Entry): void {
    const { maxEntries, maxBytes } = this.#options;
    while (this.entries >= maxEntries || this.bytes + entry.bytes > maxBytes) this.#evict();
    const list = this.#ghosts.take(ghostOf(entry)) ? this.#main : this.#small;
    list.push(entry);
    this.#ghosts.trim(this.entries);
  }

  remove(entry: Entry): void {
    entry.list?.remove(entry);
    this.#ghosts.trim(this.entries);
  }

  #evict(): void {
    const { maxEntries, maxBytes } = this.#options;
    const small = this.#small;
    const smallIsFull =
      small.length >= maxEntries * smallShare || small.bytes >= maxBytes * smallShare;
    if (this.#main.length === 0 || (small.length > 0 && smallIsFull)) this.#evictSmall();
    else this.#evictMain();
  }

  #evictSmall(): void {
    const entry = this.#small.shift();
    if (entry === undefined) return;
    if (this.#options.isDead(entry)) return this.#options.evicted(entry, true);
    if (entry.freq > 0) {
      entry.freq = 0;
      this.#main.push(entry);
      return;
    }
    this.#ghosts.add(ghostOf(entry));
    this.#options.evicted(entry, false);
  }

  #evictMain(): void {
    const entry = this.#main.shift();
    if (entry === undefined) return;
    const dead = this.#options.isDead(entry);
    if (!dead && entry.freq > 0) {
      entry.freq--;
      this.#main.push(entry);
      return;
    }
    this.#options.evicted(entry, dead);
  }
}

function ghostOf(entry: Entry): number {
  return hashOf(entry.key) ^ hashOf(entry.space.name);
}
