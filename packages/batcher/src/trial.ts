import type { BatchSettings } from "./controller.ts";

export type TrialVerdict = "better" | "tie" | "worse" | "undecided";

const clearlyWorse = Math.log(0.85);
const clearlyBetter = Math.log(1.3);
const worthIt = 0.03;
const indistinct = 0.01;
const fewestPairs = 3;
const mostPairs = 6;

/** Compares a candidate with the incumbent in paired windows: I C, I C, … until it is clear. */
export class Trial {
  readonly candidate: BatchSettings;
  readonly #smaller: boolean;
  readonly #logRatios: number[] = [];

  constructor(candidate: BatchSettings, incumbent: BatchSettings) {
    this.candidate = candidate;
    this.#smaller = footprint(candidate) < footprint(incumbent);
  }

  add(incumbentScore: number, candidateScore: number): TrialVerdict {
    const ratio = Math.log(Math.max(candidateScore, Number.MIN_VALUE) / incumbentScore);
    this.#logRatios.push(ratio);
    const count = this.#logRatios.length;
    if (count === 1 && ratio < clearlyWorse) return "worse";
    if (count === 1 && ratio > clearlyBetter) return "better";
    return count < fewestPairs ? "undecided" : this.#decide(count);
  }

  /** Better means by more than 3 % and two standard errors. An even match goes to the smaller of the two. */
  #decide(count: number): TrialVerdict {
    const mean = this.#logRatios.reduce((sum, ratio) => sum + ratio, 0) / count;
    const squares = this.#logRatios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0);
    const error = Math.sqrt(squares / (count - 1) / count);
    if (mean > Math.max(worthIt, 2 * error)) return "better";
    if (mean < -worthIt || (mean < worthIt && !this.#smaller)) return "worse";
    if (count < mostPairs) return "undecided";
    return this.#smaller && mean > -indistinct ? "tie" : "worse";
  }
}

function footprint({ size, concurrency }: BatchSettings): number {
  return size * concurrency;
}
