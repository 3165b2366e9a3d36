/** The heap as a major collection left it. */
export interface FloorSample {
  readonly atMs: number;
  /** Heap and external memory in use, without what the ledger explains. */
  readonly usedBytes: number;
  /** What memory in use grows with: sessions open, requests under way. */
  readonly load: number;
}

/** The least that any collection of a block left: what came and went within the block is not in it. */
export type FloorBlock = FloorSample;

/** Block minima of the samples, the latest `maxBlocks`. A block without a collection is left out. */
export class FloorBlocks {
  readonly #blockMs: number;
  readonly #maxBlocks: number;
  #blocks: FloorBlock[] = [];
  #current: { readonly index: number; lowest: FloorSample } | undefined;

  constructor(blockMs: number, maxBlocks: number) {
    this.#blockMs = blockMs;
    this.#maxBlocks = maxBlocks;
  }

  /** Blocks that are complete, oldest first. */
  get complete(): readonly FloorBlock[] {
    return this.#blocks;
  }

  /** True when the sample ended a block. */
  add(sample: FloorSample): boolean {
    const index = Math.floor(sample.atMs / this.#blockMs);
    const current = this.#current;
    if (current?.index === index) {
      if (sample.usedBytes < current.lowest.usedBytes) current.lowest = sample;
      return false;
    }
    this.#current = { index, lowest: sample };
    if (current === undefined) return false;
    this.#blocks.push(current.lowest);
    if (this.#blocks.length > this.#maxBlocks) this.#blocks.shift();
    return true;
  }

  clear(): void {
    this.#blocks = [];
    this.#current = undefined;
  }
}
