import { FloorBlocks } from "./heap-floor-blocks.ts";
import type { FloorBlock, FloorSample } from "./heap-floor-blocks.ts";
import { fitFloor } from "./heap-floor-fit.ts";
import type { FloorFit } from "./heap-floor-fit.ts";

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;

export interface HeapFloorRule {
  readonly blockMs: number;
  /** Blocks looked at, the latest ones. */
  readonly windowBlocks: number;
  /** Time, and blocks within it, without which nothing is said. */
  readonly minSpanMs: number;
  readonly minBlocks: number;
  /** The later half of the window, and at least so much of it, is looked at alone too. */
  readonly recentSpanMs: number;
  /** Samples so soon after the first one are ignored. */
  readonly warmupMs: number;
  /** Level shifts forgiven within a window. */
  readonly maxSteps: number;
  /** Standard errors by which the growth must exceed the least growth of interest. */
  readonly sigmas: number;
  /** The same for the later half of a window. */
  readonly lateSigmas: number;
  /** Share of the window's growth that its later half must still have. */
  readonly lateRatio: number;
  /** Growth over a window, below which it is taken for wavering. */
  readonly minGrowthBytes: number;
  /** Looks in a row, one a block, at which all that must hold. */
  readonly looks: number;
}

/** Chosen on the study's tuning worlds. */
export const FLOOR_RULE: HeapFloorRule = {
  blockMs: 5 * 60_000,
  windowBlocks: 96,
  minSpanMs: 2.25 * HOUR_MS,
  minBlocks: 15,
  recentSpanMs: 2.1 * HOUR_MS,
  warmupMs: 30 * 60_000,
  maxSteps: 4,
  sigmas: 4,
  lateSigmas: 1,
  lateRatio: 0.7,
  minGrowthBytes: 9 * MIB,
  looks: 3,
};

/** What a look at the floor saw. */
export interface FloorGrowth extends FloorFit {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly blocks: number;
  /** Growth less `sigmas` standard errors. */
  readonly lowerBytesPerHour: number;
  readonly grownBytes: number;
}

/**
 * Tells a heap that leaks from one that warms up, carries more load, was stepped up or just wavers. It looks
 * once a block; growth must be beyond doubt, lasting and not dying away, look after look (the sequential
 * correction: the rate of false alarms over a whole run of many looks is measured by the study, not derived).
 */
export class HeapFloor {
  readonly #rule: HeapFloorRule;
  readonly #blocks: FloorBlocks;
  #startMs: number | undefined;
  #streak = 0;
  #growth: FloorGrowth | undefined;

  constructor(rule: Partial<HeapFloorRule> = {}) {
    this.#rule = { ...FLOOR_RULE, ...rule };
    this.#blocks = new FloorBlocks(this.#rule.blockMs, this.#rule.windowBlocks);
  }

  /** The last look, whatever it said; undefined while there are too few blocks. */
  get growth(): FloorGrowth | undefined {
    return this.#growth;
  }

  get blocks(): readonly FloorBlock[] {
    return this.#blocks.complete;
  }

  get leaking(): boolean {
    return this.#streak >= this.#rule.looks;
  }

  /** The growth, once it is a leak's: more than `minBytesPerHour`. */
  add(sample: FloorSample, minBytesPerHour: number = MIB): FloorGrowth | undefined {
    this.#startMs ??= sample.atMs;
    if (sample.atMs - this.#startMs < this.#rule.warmupMs) return undefined;
    if (!this.#blocks.add(sample) || !this.#enough(this.blocks, this.#rule.minSpanMs))
      return undefined;
    const whole = this.#look(this.blocks);
    const suspect = this.#suspects(whole, minBytesPerHour) ? whole : this.#recent(minBytesPerHour);
    this.#growth = suspect ?? whole;
    this.#streak = suspect === undefined ? 0 : this.#streak + 1;
    return this.leaking ? this.#growth : undefined;
  }

  /** A leak that began of late, or of which the start of the window is still warm-up. */
  #recent(minBytesPerHour: number): FloorGrowth | undefined {
    const spanMs = Math.max(this.#rule.recentSpanMs, span(this.blocks) / 2);
    const from = (this.blocks.at(-1)?.atMs ?? 0) - spanMs - this.#rule.blockMs;
    const recent = this.blocks.filter(({ atMs }) => atMs >= from);
    if (recent.length === this.blocks.length || !this.#enough(recent, this.#rule.recentSpanMs))
      return undefined;
    const growth = this.#look(recent);
    return this.#suspects(growth, minBytesPerHour) ? growth : undefined;
  }

  #enough(blocks: readonly FloorBlock[], spanMs: number): boolean {
    return blocks.length >= this.#rule.minBlocks && span(blocks) >= spanMs;
  }

  #look(blocks: readonly FloorBlock[]): FloorGrowth {
    const fit = fitFloor(blocks, this.#rule);
    const fromMs = blocks[0]?.atMs ?? 0;
    const untilMs = blocks.at(-1)?.atMs ?? 0;
    return {
      ...fit,
      fromMs,
      untilMs,
      blocks: blocks.length,
      lowerBytesPerHour: fit.bytesPerHour - this.#rule.sigmas * fit.standardError,
      grownBytes: (fit.bytesPerHour * (untilMs - fromMs)) / HOUR_MS,
    };
  }

  #suspects(growth: FloorGrowth, minBytesPerHour: number): boolean {
    const { bytesPerHour, lowerBytesPerHour, lateBytesPerHour, lateStandardError } = growth;
    const { lateSigmas, lateRatio, minGrowthBytes } = this.#rule;
    const lateLower = lateBytesPerHour - lateSigmas * lateStandardError;
    return (
      growth.grownBytes >= minGrowthBytes &&
      lowerBytesPerHour > minBytesPerHour &&
      lateLower > minBytesPerHour &&
      lateBytesPerHour >= lateRatio * bytesPerHour
    );
  }
}

function span(blocks: readonly FloorBlock[]): number {
  return (blocks.at(-1)?.atMs ?? 0) - (blocks[0]?.atMs ?? 0);
}
