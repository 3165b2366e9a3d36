import { HeapFloor } from "./heap-floor.ts";
import type { FloorGrowth } from "./heap-floor.ts";
import type { Observation } from "./leak-findings.ts";
import type { HeapSample } from "./process-memory.ts";

const KIB = 1024;
const LEAST_GROWTH_BYTES = 128 * KIB;
const MOST_GROWTH_BYTES = 1024 * KIB;
/** Blocks at each end of the window over which heap and external memory are compared. */
const ENDS = 6;

export interface HeapWatchOptions {
  readonly limitBytes: number;
  readonly heapHorizonHours: number;
}

export interface HeapReading extends HeapSample {
  readonly atMs: number;
  readonly load: number;
  /** Bytes that sessions hold, which are a finding of their own if they stay. */
  readonly ledgerBytes: number;
}

/** Feeds the heap floor, and tells which part of memory it is that grows. */
export class HeapWatch {
  readonly #floor = new HeapFloor();
  readonly #options: HeapWatchOptions;
  readonly #external: { readonly atMs: number; readonly bytes: number }[] = [];
  #usedBytes = 0;

  constructor(options: HeapWatchOptions) {
    this.#options = options;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get growth(): FloorGrowth | undefined {
    return this.#floor.growth;
  }

  get blocks(): number {
    return this.#floor.blocks.length;
  }

  /** Growth below this is of no interest: the headroom would outlast the horizon. */
  get minBytesPerHour(): number {
    const { limitBytes, heapHorizonHours } = this.#options;
    const perHour = (limitBytes - this.#usedBytes) / heapHorizonHours;
    return Math.min(MOST_GROWTH_BYTES, Math.max(LEAST_GROWTH_BYTES, perHour));
  }

  add({ atMs, heapUsedBytes, externalBytes, load, ledgerBytes }: HeapReading): void {
    this.#usedBytes = heapUsedBytes + externalBytes;
    const usedBytes = this.#usedBytes - ledgerBytes;
    const before = this.blocks;
    const last = this.#floor.blocks.at(-1);
    this.#floor.add({ atMs, usedBytes, load }, this.minBytesPerHour);
    if (this.blocks === before && this.#floor.blocks.at(-1) === last) return;
    this.#external.push({ atMs, bytes: externalBytes - ledgerBytes });
    if (this.#external.length > this.blocks) this.#external.shift();
  }

  look(): readonly Observation[] {
    const { growth } = this;
    if (growth === undefined || !this.#floor.leaking) return [];
    const hours = (growth.untilMs - growth.fromMs) / 3_600_000;
    const externalShare = this.#externalGrowth(growth) / Math.max(1, growth.grownBytes);
    const place = externalShare > 0.5 ? "external memory (buffers)" : "V8 heap (objects)";
    const headroomBytes = Math.max(0, this.#options.limitBytes - this.#usedBytes);
    const evidence = {
      bytesPerHour: Math.round(growth.bytesPerHour),
      surelyAboveBytesPerHour: Math.round(growth.lowerBytesPerHour),
      hours: Number(hours.toFixed(2)),
      blocks: growth.blocks,
      grownBytes: Math.round(growth.grownBytes),
      externalShare: Number(externalShare.toFixed(2)),
      bytesPerLoad: Math.round(growth.bytesPerLoad),
      stepsForgiven: growth.steps.length,
      headroomBytes,
      hoursToLimit: Number((headroomBytes / growth.bytesPerHour).toFixed(1)),
    };
    return [{ kind: "heap", origin: { place, stack: undefined }, evidence }];
  }

  #externalGrowth({ fromMs }: FloorGrowth): number {
    const within = this.#external.filter(({ atMs }) => atMs >= fromMs).map(({ bytes }) => bytes);
    const grown = Math.min(...within.slice(-ENDS)) - Math.min(...within.slice(0, ENDS));
    // What grows is lowest at the start of each end, so that one end is not covered.
    return (grown * (within.length - 1)) / Math.max(1, within.length - ENDS);
  }
}
