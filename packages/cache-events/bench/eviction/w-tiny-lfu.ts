import type { Policy } from "./policy.ts";

const sampleSizes = 10;
const climbSizes = 10;
const restartHitRatio = 0.05;

/**
 * W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017) with the adaptive window of "Adaptive Software Cache Management"
 * (Middleware 2018): what leaves the LRU window is admitted to a segmented LRU if it was read more often than what it would drive out.
 */
export class WTinyLfu implements Policy {
  readonly #size: number;
  readonly #window = new Set<number>();
  readonly #probation = new Set<number>();
  readonly #protected = new Set<number>();
  readonly #sketch: FrequencySketch;
  #windowSize: number;
  #step: number;
  #reads = 0;
  #hits = 0;
  #lastRatio = 0;

  constructor(size: number) {
    this.#size = size;
    this.#windowSize = Math.max(1, Math.round(size / 100));
    this.#step = -0.0625 * size;
    this.#sketch = new FrequencySketch(size);
  }

  read(key: number): boolean {
    this.#sketch.count(key);
    const hit = this.#touch(key);
    if (hit) this.#hits++;
    else {
      this.#window.add(key);
      this.#settle();
    }
    if (++this.#reads >= climbSizes * this.#size) this.#climb();
    return hit;
  }

  #touch(key: number): boolean {
    if (this.#window.delete(key)) this.#window.add(key);
    else if (this.#protected.delete(key)) this.#protected.add(key);
    else if (this.#probation.delete(key)) {
      this.#protected.add(key);
      this.#demote();
    } else return false;
    return true;
  }

  #demote(): void {
    while (this.#protected.size > 0.8 * (this.#size - this.#windowSize)) {
      const key = oldest(this.#protected);
      this.#protected.delete(key);
      this.#probation.add(key);
    }
  }

  #settle(): void {
    while (this.#window.size > this.#windowSize) {
      const candidate = oldest(this.#window);
      this.#window.delete(candidate);
      const main = this.#probation.size + this.#protected.size;
      if (main + this.#window.size < this.#size) this.#probation.add(candidate);
      else this.#duel(candidate);
    }
    while (this.#window.size + this.#probation.size + this.#protected.size > this.#size)
      this.#giveUp(this.#probation.size > 0 ? this.#probation : this.#protected);
  }

  #duel(candidate: number): void {
    const list = this.#probation.size > 0 ? this.#probation : this.#protected;
    const victim = oldest(list);
    if (this.#sketch.of(candidate) <= this.#sketch.of(victim)) return;
    list.delete(victim);
    this.#probation.add(candidate);
  }

  #giveUp(list: Set<number>): void {
    list.delete(oldest(list));
  }

  #climb(): void {
    const ratio = this.#hits / this.#reads;
    const change = ratio - this.#lastRatio;
    if (change < 0) this.#step = -this.#step;
    const amount = this.#step;
    this.#step =
      Math.abs(change) >= restartHitRatio ? 0.0625 * this.#size * Math.sign(amount) : 0.98 * amount;
    this.#lastRatio = ratio;
    this.#reads = 0;
    this.#hits = 0;
    this.#windowSize = Math.min(
      Math.max(1, Math.round(this.#windowSize + amount)),
      Math.max(1, Math.floor(0.8 * this.#size)),
    );
    this.#demote();
    while (this.#window.size < this.#windowSize && this.#probation.size > 0) {
      const key = oldest(this.#probation);
      this.#probation.delete(key);
      this.#window.add(key);
    }
    this.#settle();
  }
}

function oldest(keys: Set<number>): number {
  return keys.keys().next().value ?? 0;
}

/** A count-min sketch of counters up to 15, halved after ten times the cache's size in reads. */
class FrequencySketch {
  readonly #counters: Uint8Array;
  readonly #mask: number;
  readonly #sample: number;
  #count = 0;

  constructor(size: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, 4 * size)));
    this.#mask = slots - 1;
    this.#counters = new Uint8Array(4 * slots);
    this.#sample = sampleSizes * size;
  }

  count(key: number): void {
    let counted = false;
    for (let row = 0; row < 4; row++) {
      const slot = this.#slot(key, row);
      const value = this.#counters[slot] ?? 0;
      if (value < 15) {
        this.#counters[slot] = value + 1;
        counted = true;
      }
    }
    if (!counted || ++this.#count < this.#sample) return;
    this.#counters.forEach((value, slot) => (this.#counters[slot] = value >> 1));
    this.#count >>= 1;
  }

  of(key: number): number {
    let least = 15;
    for (let row = 0; row < 4; row++)
      least = Math.min(least, this.#counters[this.#slot(key, row)] ?? 0);
    return least;
  }

  #slot(key: number, row: number): number {
    let mixed = Math.imul(key ^ (row * 0x9e3779b9), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return row * (this.#mask + 1) + ((mixed ^ (mixed >>> 16)) & this.#mask);
  }
}
