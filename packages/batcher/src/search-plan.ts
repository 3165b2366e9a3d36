import type { BatchSettings } from "./controller.ts";

export type Direction =
  | "size-up"
  | "concurrency-up"
  | "size-down"
  | "concurrency-down"
  | "larger-fewer"
  | "smaller-more"
  | "home";

export interface SearchLevel {
  readonly factor: number;
  readonly worthIt: number;
  readonly mostPairs: number;
}

export interface SearchBounds {
  readonly maxBatchSize: number;
  readonly maxConcurrentBatches: number;
  readonly home: BatchSettings;
  /** The smallest size that was refused lately; Infinity if none was. */
  readonly refusedSize: number;
  /** False: only what is smaller than the incumbent may be tried. */
  readonly mayGrow: boolean;
}

const directions: readonly Direction[] = [
  "size-up",
  "concurrency-up",
  "size-down",
  "concurrency-down",
  "larger-fewer",
  "smaller-more",
  "home",
];
/** At first only large gains count, which show soon; then all of them, which take as many pairs as it needs. */
const levels: readonly SearchLevel[] = [
  { factor: 2, worthIt: 0.12, mostPairs: 3 },
  { factor: 2 ** 0.5, worthIt: 0.05, mostPairs: 4 },
  { factor: 2 ** 0.25, worthIt: 0.03, mostPairs: 4 },
  { factor: 2, worthIt: 0.01, mostPairs: 7 },
  { factor: 2 ** 0.25, worthIt: 0.01, mostPairs: 7 },
  { factor: 2 ** 0.125, worthIt: 0.01, mostPairs: 7 },
  { factor: 2 ** 0.0625, worthIt: 0.01, mostPairs: 7 },
];
/** A step that gained this share of its factor is followed by one twice as long. */
const promising = 0.75;
/** A gain that makes further ones likely. */
const substantial = 0.05;
/** Where it begins after a rest. */
const patientLevel = 3;
const coarsest = { factor: 2, worthIt: 0.12, mostPairs: 3 };
/** The part of a step, as an exponent, that must be possible. */
const shortStep = 0.5;
const finestTie = 2 ** 0.5;
const shortestRestMs = 4_000;
const longestRestMs = 60_000;

/** Which settings to try next: every direction in turn by a factor, finer factors when none pays, then a rest that grows. */
export class SearchPlan {
  #turn = 0;
  #misses = 0;
  #level = 0;
  #boost = 1;
  #restMs = shortestRestMs;
  #restUntilMs = 0;

  get allowsTies(): boolean {
    return this.#level >= patientLevel && this.level.factor >= finestTie;
  }

  next(incumbent: BatchSettings, bounds: SearchBounds, nowMs: number): BatchSettings | undefined {
    const most = directions.length * levels.length;
    for (let tries = 0; tries < most && nowMs >= this.#restUntilMs; tries++) {
      const candidate = this.#step(incumbent, bounds);
      if (
        isWorthTrying(candidate, incumbent, bounds) &&
        !this.#isShort(candidate, incumbent, bounds)
      )
        return candidate;
      this.miss(nowMs);
    }
    return undefined;
  }

  miss(nowMs: number): void {
    if (this.#boost > 1) {
      this.#boost = 1;
      return;
    }
    this.#turn += 1;
    this.#misses += 1;
    if (this.#misses < directions.length) return;
    this.#misses = 0;
    this.#level += 1;
    if (this.#level < levels.length) return;
    this.#level = patientLevel;
    this.#restUntilMs = nowMs + this.#restMs;
    this.#restMs = Math.min(this.#restMs * 2, longestRestMs);
  }

  /** The same direction again, and every other after it. `gain` is a logarithm. */
  hit(gain: number): void {
    this.#boost = gain > promising * Math.log(this.level.factor ** this.#boost) ? 2 : 1;
    this.#misses = 0;
    if (gain > substantial) this.#restMs = shortestRestMs;
  }

  /** Begins anew with that direction and large steps. */
  restart(direction: Direction): void {
    this.#turn = directions.indexOf(direction);
    this.#misses = 0;
    this.#level = 0;
    this.#boost = 1;
    this.#restMs = shortestRestMs;
    this.#restUntilMs = 0;
  }

  /** Ends a rest with small steps in that direction. */
  resume(direction: Direction, nowMs: number): void {
    if (nowMs >= this.#restUntilMs) return;
    this.#turn = directions.indexOf(direction);
    this.#level = levels.length - 2;
    this.#restUntilMs = 0;
  }

  get level(): SearchLevel {
    return levels[this.#level] ?? coarsest;
  }

  /** A limit left less than half of a large step: that is for finer ones. */
  #isShort(candidate: BatchSettings, incumbent: BatchSettings, bounds: SearchBounds): boolean {
    const { size, concurrency } = candidate;
    const limited = size === bounds.maxBatchSize || concurrency === bounds.maxConcurrentBatches;
    const longest = Math.max(
      ratio(size, incumbent.size),
      ratio(concurrency, incumbent.concurrency),
    );
    return limited && this.#level < patientLevel && longest < this.level.factor ** shortStep;
  }

  #step({ size, concurrency }: BatchSettings, bounds: SearchBounds): BatchSettings {
    const { home } = bounds;
    const factor = this.level.factor ** this.#boost;
    const larger = () => sizeUp(size, factor, bounds);
    const more = () => up(concurrency, factor, bounds.maxConcurrentBatches);
    switch (directions[this.#turn % directions.length]) {
      case "size-up":
        return { ...home, size: larger(), concurrency };
      case "concurrency-up":
        return { ...home, size, concurrency: more() };
      case "size-down":
        return { ...home, size: down(size, factor), concurrency };
      case "concurrency-down":
        return { ...home, size, concurrency: down(concurrency, factor) };
      case "larger-fewer":
        return { ...home, size: larger(), concurrency: down(concurrency, factor) };
      case "smaller-more":
        return { ...home, size: down(size, factor), concurrency: more() };
      default:
        return this.level.factor === 2 ? home : { ...home, size, concurrency };
    }
  }
}

/** How many times the smaller the larger is. */
function ratio(one: number, other: number): number {
  return Math.max(one / other, other / one);
}

function isWorthTrying(
  candidate: BatchSettings,
  incumbent: BatchSettings,
  { mayGrow, refusedSize }: SearchBounds,
): boolean {
  const { size, concurrency } = candidate;
  if (size === incumbent.size && concurrency === incumbent.concurrency) return false;
  if (size >= refusedSize) return false;
  return mayGrow || (size <= incumbent.size && concurrency <= incumbent.concurrency);
}

/** Half way to a size that was refused, when the step would reach it. */
function sizeUp(size: number, factor: number, { maxBatchSize, refusedSize }: SearchBounds): number {
  const wanted = up(size, factor, maxBatchSize);
  if (wanted < refusedSize) return wanted;
  const between = Math.floor(Math.sqrt(size * refusedSize));
  return between > size * 1.02 ? between : size;
}

function up(value: number, factor: number, most: number): number {
  return Math.min(Math.max(Math.round(value * factor), value + 1), most);
}

function down(value: number, factor: number): number {
  return Math.max(Math.min(Math.round(value / factor), value - 1), 1);
}
