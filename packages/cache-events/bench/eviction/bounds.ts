/**
 * The best hit ratio that knowing the future allows, in percent (Belady's MIN): gives up what is read again last. A heap by next
 * read; what it holds of keys that were read meanwhile is out of date and skipped.
 */
export function optimumPercent(keys: Uint32Array, size: number): number {
  const next = nextReads(keys);
  const held = new Map<number, number>();
  const heap = new LatestFirst(next.length);
  let hits = 0;
  for (const [index, key] of keys.entries()) {
    if (held.has(key)) hits++;
    else if (held.size === size) {
      let victim = heap.pop();
      while (held.get(keys[victim] ?? 0) !== victim) victim = heap.pop();
      held.delete(keys[victim] ?? 0);
    }
    held.set(key, index);
    heap.push(index, next[index] ?? Infinity);
  }
  return (100 * hits) / keys.length;
}

/** What holding the `size` keys that are read most often would hit, in percent: the limit of policies that only count. */
export function bestFixedSetPercent(keys: Uint32Array, size: number): number {
  const counts = new Map<number, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  const most = [...counts.values()].toSorted((a, b) => b - a).slice(0, size);
  return (100 * most.reduce((sum, count) => sum + count - 1, 0)) / keys.length;
}

/** For each read, the index of the next read of its key. */
function nextReads(keys: Uint32Array): Float64Array {
  const next = new Float64Array(keys.length).fill(Infinity);
  const last = new Map<number, number>();
  for (const [index, key] of keys.entries()) {
    const before = last.get(key);
    if (before !== undefined) next[before] = index;
    last.set(key, index);
  }
  return next;
}

class LatestFirst {
  readonly #items: Uint32Array;
  readonly #ranks: Float64Array;
  #length = 0;

  constructor(capacity: number) {
    this.#items = new Uint32Array(capacity);
    this.#ranks = new Float64Array(capacity);
  }

  push(item: number, rank: number): void {
    let at = this.#length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#rank(parent) >= rank) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#place(at, item, rank);
  }

  pop(): number {
    const top = this.#items[0] ?? 0;
    const last = --this.#length;
    const rank = this.#rank(last);
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      if (child + 1 < last && this.#rank(child + 1) > this.#rank(child)) child++;
      if (rank >= this.#rank(child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#place(at, this.#items[last] ?? 0, rank);
    return top;
  }

  #rank(at: number): number {
    return this.#ranks[at] ?? 0;
  }

  #move(from: number, to: number): void {
    this.#place(to, this.#items[from] ?? 0, this.#rank(from));
  }

  #place(at: number, item: number, rank: number): void {
    this.#items[at] = item;
    this.#ranks[at] = rank;
  }
}
