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
  /** With a shared store, `tags` are its fences and these their values, in the same order. */
  readonly values?: readonly string[];
  readonly bytes: number;
}

const noValues: readonly string[] = [];

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
  readonly values: readonly string[];
  /** Whole, so that sums are exact. */
  readonly bytes: number;
  /** The sequence up to which its fences are known not to have moved. */
  checkedAt = -1;
  /** The version of the store's mirror at which `values` were last found current. */
  mirroredAt = -1;
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
    this.values = init.values ?? noValues;
    this.bytes = Math.ceil(init.bytes);
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

const leastShare = 0.01;
const mostShare = 0.9;
/** Entries that one eviction may pass over; the next one goes even if it was read, so that no `add` stalls. */
const maxPassedOver = 64;

/**
 * S3-FIFO (Yang, Zhang, Qiu, Yue, Vinayak: "FIFO queues are all you need for cache eviction", SOSP 2023) with the feedback of ARC
 * (Megiddo, Modha, FAST 2003). New entries pass through a small queue and those used again move to the main queue. A key that comes
 * back soon after the small queue gave it up shows that this queue is too small, one that the main queue gave up that it is too
 * large. Where what is new is what is used, the small queue takes over and both queues forget faster, as CLOCK does.
 */
export class MemoryTier {
  readonly #options: MemoryTierOptions;
  readonly #small = new FifoList<Entry>();
  readonly #main = new FifoList<Entry>();
  readonly #smallGhosts = new Ghosts();
  readonly #mainGhosts = new Ghosts();
  /** Of the bounds, what the small queue may fill before it has to give way. */
  #share = 0.1;
  #passedOver = 0;

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
    return this.#smallGhosts.size + this.#mainGhosts.size;
  }

  /** Makes room first. The entry must not be larger than `maxBytes`. */
  add(entry: Entry): void {
    const { maxEntries, maxBytes } = this.#options;
    const list = this.#queueFor(ghostOf(entry));
    while (this.entries >= maxEntries || this.bytes + entry.bytes > maxBytes) this.#evict();
    list.push(entry);
    this.#trimGhosts();
  }

  remove(entry: Entry): void {
    entry.list?.remove(entry);
    this.#trimGhosts();
  }

  #queueFor(ghost: number): FifoList<Entry> {
    const [small, main] = [this.#smallGhosts, this.#mainGhosts];
    const step = 1 / Math.max(1, this.entries);
    if (small.has(ghost)) {
      this.#share = Math.min(mostShare, this.#share + step * Math.max(1, main.size / small.size));
      small.delete(ghost);
      return this.#main;
    }
    if (main.has(ghost)) {
      this.#share = Math.max(leastShare, this.#share - step * Math.max(1, small.size / main.size));
      main.delete(ghost);
    }
    return this.#small;
  }

  #evict(): void {
    const { maxEntries, maxBytes } = this.#options;
    const small = this.#small;
    const smallIsFull =
      small.length >= maxEntries * this.#share || small.bytes >= maxBytes * this.#share;
    if (this.#main.length === 0 || (small.length > 0 && smallIsFull)) this.#evictSmall();
    else this.#evictMain();
  }

  #evictSmall(): void {
    const entry = this.#small.shift();
    if (entry === undefined || this.#givesUp(entry, this.#smallGhosts)) return;
    entry.freq = 0;
    (this.#share > 0.5 ? this.#small : this.#main).push(entry);
  }

  #evictMain(): void {
    const entry = this.#main.shift();
    if (entry === undefined || this.#givesUp(entry, this.#mainGhosts)) return;
    entry.freq = this.#lessened(entry.freq);
    this.#main.push(entry);
  }

  #givesUp(entry: Entry, ghosts: Ghosts): boolean {
    const dead = this.#options.isDead(entry);
    if (!dead && entry.freq > 0 && this.#passedOver < maxPassedOver) {
      this.#passedOver++;
      return false;
    }
    this.#passedOver = 0;
    if (!dead) ghosts.add(ghostOf(entry));
    this.#options.evicted(entry, dead);
    return true;
  }

  #lessened(freq: number): number {
    if (this.#share < 0.25) return freq - 1;
    return this.#share < 0.5 ? freq >> 1 : 0;
  }

  #trimGhosts(): void {
    const [small, main] = [this.#smallGhosts, this.#mainGhosts];
    while (this.ghosts > this.entries) (small.size >= main.size ? small : main).deleteOldest();
  }
}

function ghostOf(entry: Entry): number {
  return hashOf(entry.key) ^ hashOf(entry.space.name);
}
