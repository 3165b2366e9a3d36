import type { Policy } from "./policy.ts";

/** First key of a Map or Set in order of insertion. */
function oldest(keys: { keys(): Iterator<number> }): number {
  return keys.keys().next().value ?? 0;
}

/** As in the paper of SOSP 2023: a tenth for the small queue, promotion after two hits, ghosts for as many as the main queue holds. */
export class PublishedS3Fifo implements Policy {
  readonly #size: number;
  readonly #small = new Map<number, number>();
  readonly #main = new Map<number, number>();
  readonly #ghosts = new Set<number>();

  constructor(size: number) {
    this.#size = size;
  }

  read(key: number): boolean {
    for (const queue of [this.#small, this.#main]) {
      const hits = queue.get(key);
      if (hits === undefined) continue;
      queue.set(key, Math.min(3, hits + 1));
      return true;
    }
    while (this.#small.size + this.#main.size >= this.#size) this.#evict();
    (this.#ghosts.delete(key) ? this.#main : this.#small).set(key, 0);
    return false;
  }

  #evict(): void {
    if (this.#small.size >= this.#size / 10 || this.#main.size === 0) this.#evictSmall();
    else this.#evictMain();
  }

  #evictSmall(): void {
    const key = oldest(this.#small);
    const hits = this.#small.get(key) ?? 0;
    this.#small.delete(key);
    if (hits > 1) {
      this.#main.set(key, 0);
      return;
    }
    this.#ghosts.delete(key);
    this.#ghosts.add(key);
    if (this.#ghosts.size > this.#size * 0.9) this.#ghosts.delete(oldest(this.#ghosts));
  }

  #evictMain(): void {
    const key = oldest(this.#main);
    const hits = this.#main.get(key) ?? 0;
    this.#main.delete(key);
    if (hits > 0) this.#main.set(key, hits - 1);
  }
}

/** SIEVE (Zhang et al., NSDI 2024): one queue, a hand that passes over what was read since it came by. */
export class Sieve implements Policy {
  readonly #size: number;
  readonly #nodes = new Map<number, SieveNode>();
  #newest: SieveNode | undefined;
  #oldest: SieveNode | undefined;
  #hand: SieveNode | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  read(key: number): boolean {
    const node = this.#nodes.get(key);
    if (node !== undefined) {
      node.visited = true;
      return true;
    }
    if (this.#nodes.size >= this.#size) this.#evict();
    const added: SieveNode = { key, visited: false, newer: undefined, older: this.#newest };
    if (this.#newest === undefined) this.#oldest = added;
    else this.#newest.newer = added;
    this.#newest = added;
    this.#nodes.set(key, added);
    return false;
  }

  #evict(): void {
    let hand = this.#hand ?? this.#oldest;
    while (hand?.visited === true) {
      hand.visited = false;
      hand = hand.newer ?? this.#oldest;
    }
    if (hand === undefined) return;
    this.#hand = hand.newer;
    if (hand.newer === undefined) this.#newest = hand.older;
    else hand.newer.older = hand.older;
    if (hand.older === undefined) this.#oldest = hand.newer;
    else hand.older.newer = hand.newer;
    this.#nodes.delete(hand.key);
  }
}

interface SieveNode {
  readonly key: number;
  visited: boolean;
  newer: SieveNode | undefined;
  older: SieveNode | undefined;
}

/** ARC (Megiddo, Modha, FAST 2003): read once and read again in two lists, whose shares follow the hits among their ghosts. */
export class Arc implements Policy {
  readonly #size: number;
  readonly #once = new Set<number>();
  readonly #again = new Set<number>();
  readonly #onceGhosts = new Set<number>();
  readonly #againGhosts = new Set<number>();
  #target = 0;

  constructor(size: number) {
    this.#size = size;
  }

  read(key: number): boolean {
    if (this.#once.delete(key) || this.#again.delete(key)) {
      this.#again.add(key);
      return true;
    }
    const [b1, b2] = [this.#onceGhosts.size, this.#againGhosts.size];
    if (this.#onceGhosts.delete(key)) {
      this.#target = Math.min(this.#size, this.#target + Math.max(1, b2 / b1));
      this.#replace(false);
      this.#again.add(key);
    } else if (this.#againGhosts.delete(key)) {
      this.#target = Math.max(0, this.#target - Math.max(1, b1 / b2));
      this.#replace(true);
      this.#again.add(key);
    } else {
      this.#makeRoom();
      this.#once.add(key);
    }
    return false;
  }

  #makeRoom(): void {
    const recent = this.#once.size + this.#onceGhosts.size;
    const all = recent + this.#again.size + this.#againGhosts.size;
    if (recent >= this.#size) {
      if (this.#once.size < this.#size) {
        this.#onceGhosts.delete(oldest(this.#onceGhosts));
        this.#replace(false);
      } else this.#once.delete(oldest(this.#once));
    } else if (all >= this.#size) {
      if (all >= 2 * this.#size) this.#againGhosts.delete(oldest(this.#againGhosts));
      this.#replace(false);
    }
  }

  #replace(wasAgain: boolean): void {
    const once = this.#once.size;
    if (once + this.#again.size < this.#size) return;
    const fromOnce = once > 0 && (once > this.#target || (wasAgain && once >= this.#target));
    const [list, ghosts] =
      fromOnce || this.#again.size === 0
        ? [this.#once, this.#onceGhosts]
        : [this.#again, this.#againGhosts];
    const key = oldest(list);
    list.delete(key);
    ghosts.add(key);
  }
}
