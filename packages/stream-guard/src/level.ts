import { InvalidArgumentError } from "./errors.ts";

/** How full memory is, from calm to nearly out. */
export type MemoryLevel = "normal" | "elevated" | "high" | "critical";

export const MEMORY_LEVELS: readonly MemoryLevel[] = ["normal", "elevated", "high", "critical"];

/** Ratios (0 to 1) at which each level begins; a level is left `hysteresis` below where it began. */
export interface LevelThresholds {
  readonly elevated: number;
  readonly high: number;
  readonly critical: number;
  readonly hysteresis: number;
}

export const DEFAULT_LEVELS: LevelThresholds = {
  elevated: 0.7,
  high: 0.8,
  critical: 0.9,
  hysteresis: 0.05,
};

/** Follows a ratio: the level rises at once, and falls only when the hysteresis is passed too. */
export class LevelGauge {
  readonly #thresholds: LevelThresholds;
  #level: MemoryLevel = "normal";
  #riseAt: number;
  #fallBelow = 0;

  constructor(thresholds: LevelThresholds) {
    this.#thresholds = thresholds;
    this.#riseAt = thresholds.elevated;
  }

  get level(): MemoryLevel {
    return this.#level;
  }

  /** The level that `ratio` ended, or undefined when it changes nothing. */
  update(ratio: number): MemoryLevel | undefined {
    if (ratio < this.#riseAt && ratio >= this.#fallBelow) return undefined;
    const previous = this.#level;
    const rising = ratio >= this.#riseAt;
    this.#level = levelAt(rising ? ratio : ratio + this.#thresholds.hysteresis, this.#thresholds);
    const { elevated, high, critical, hysteresis } = this.#thresholds;
    const starts = [0, elevated, high, critical, Number.POSITIVE_INFINITY];
    const reached = rank(this.#level);
    this.#riseAt = starts[reached + 1]!;
    this.#fallBelow = reached === 0 ? 0 : starts[reached]! - hysteresis;
    return this.#level === previous ? undefined : previous;
  }
}

export function rank(level: MemoryLevel): number {
  return MEMORY_LEVELS.indexOf(level);
}

export function resolveLevels(levels: Partial<LevelThresholds> = {}): LevelThresholds {
  const resolved = { ...DEFAULT_LEVELS, ...levels };
  const { elevated, high, critical, hysteresis } = resolved;
  const ordered = elevated > 0 && elevated < high && high < critical && critical <= 1;
  if (!ordered) {
    const received = `${elevated}, ${high}, ${critical}`;
    throw new InvalidArgumentError("levels", "0 < elevated < high < critical <= 1", received);
  }
  if (!(hysteresis >= 0 && hysteresis < elevated))
    throw new InvalidArgumentError("levels.hysteresis", "0 <= hysteresis < elevated", hysteresis);
  return resolved;
}

function levelAt(ratio: number, { elevated, high, critical }: LevelThresholds): MemoryLevel {
  if (ratio >= critical) return "critical";
  if (ratio >= high) return "high";
  return ratio >= elevated ? "elevated" : "normal";
}
