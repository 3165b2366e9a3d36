/** When something was last invalidated, as a number of the line's sequence. */
export interface Fence {
  seq: number;
}

export interface TagFence extends Fence {
  readonly tag: string;
  refs: number;
  /** Of `refs`, those of entries. */
  entries: number;
  /** Invalidations while it was held. */
  moves: number;
}

const forgottenSlots = 1024;

/**
 * The global sequence and the fences of the tags. A compute that began at sequence `born` is valid for a fence while
 * `fence.seq <= born`. A tag has a fence only as long as an entry or a flight holds it: for the others, `#forgotten` keeps the
 * latest invalidation of any tag of the same hash, which may refuse a valid result but never lets an invalid one pass.
 */
export class FenceLine {
  readonly everything: Fence = { seq: 0 };
  #seq = 0;
  readonly #tags = new Map<string, TagFence>();
  readonly #forgotten = new Float64Array(forgottenSlots);

  /** The sequence of the last invalidation of anything. */
  get seq(): number {
    return this.#seq;
  }

  get tagCount(): number {
    return this.#tags.size;
  }

  /** The last invalidation of `tag`, or a later one. */
  seqOf(tag: string): number {
    return this.#tags.get(tag)?.seq ?? this.#forgottenAt(slotOf(tag));
  }

  /** The tags that an entry or a flight holds. */
  tags(): Iterable<TagFence> {
    return this.#tags.values();
  }

  hold(tag: string): TagFence {
    let fence = this.#tags.get(tag);
    if (fence === undefined) {
      fence = { tag, seq: this.#forgottenAt(slotOf(tag)), refs: 0, entries: 0, moves: 0 };
      this.#tags.set(tag, fence);
    }
    fence.refs++;
    return fence;
  }

  release(fences: readonly TagFence[]): void {
    for (const fence of fences) {
      if (--fence.refs > 0) continue;
      this.#tags.delete(fence.tag);
      this.#forget(fence.tag, fence.seq);
    }
  }

  move(fence: Fence): void {
    fence.seq = ++this.#seq;
  }

  moveTags(tags: readonly string[]): void {
    const seq = ++this.#seq;
    for (const tag of tags) {
      const fence = this.#tags.get(tag);
      if (fence === undefined) {
        this.#forget(tag, seq);
      } else {
        fence.seq = seq;
        fence.moves++;
      }
    }
  }

  #forget(tag: string, seq: number): void {
    const slot = slotOf(tag);
    if (seq > this.#forgottenAt(slot)) this.#forgotten[slot] = seq;
  }

  #forgottenAt(slot: number): number {
    return this.#forgotten[slot] ?? 0;
  }
}

export function unmoved(fences: readonly Fence[], born: number): boolean {
  for (const fence of fences) if (fence.seq > born) return false;
  return true;
}

function slotOf(tag: string): number {
  return hashOf(tag) % forgottenSlots;
}

/** FNV-1a over UTF-16 code units (Fowler, Noll, Vo), 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
