import { CallStats } from "./call-stats.ts";
import type { BatchSettings } from "./controller.ts";

export type TrialVerdict = "better" | "tie" | "worse" | "undecided";

export interface TrialTerms {
  readonly objectiveMs: number;
  /** How much worse (as a logarithm) the smaller of two settings may be and still win. 0: no ties. */
  readonly tolerance: number;
  /** The least gain (as a logarithm) worth a move. */
  readonly worthIt: number;
  readonly mostPairs: number;
}

const firstWindow = 8;
const mostDoublings = 6;
/** Durations of neighbouring calls are alike, so errors are larger than for independent ones. */
const dependence = 1.2;
const clearGain = 0.1;
const clearLoss = 0.05;

/** Compares a candidate with the incumbent in paired windows: I C, I C, each longer than the one before, until it is clear. */
export class Trial {
  readonly candidate: BatchSettings;
  readonly #terms: TrialTerms;
  readonly #old = new CallStats();
  readonly #new = new CallStats();
  #pairs = 0;

  constructor(candidate: BatchSettings, terms: TrialTerms) {
    this.candidate = candidate;
    this.#terms = terms;
  }

  /** How many calls the next window of each takes. */
  get windowCalls(): number {
    return firstWindow << Math.min(this.#pairs, mostDoublings);
  }

  get candidateStats(): CallStats {
    return this.#new;
  }

  add(incumbent: CallStats, candidate: CallStats): TrialVerdict {
    this.#old.merge(incumbent);
    this.#new.merge(candidate);
    this.#pairs += 1;
    return this.#verdict();
  }

  /** Logarithm of the candidate's goodput over the incumbent's. */
  gain(incumbent: CallStats = this.#old, candidate: CallStats = this.#new): number {
    const [before, after] = [incumbent.goodput, candidate.goodput];
    return Math.log(Math.max(after, Number.MIN_VALUE) / Math.max(before, Number.MIN_VALUE));
  }

  /** Far behind after a few calls, or late where the incumbent is not. */
  isHopeless(incumbent: CallStats, candidate: CallStats): boolean {
    if (candidate.calls < 3) return false;
    if (this.#tooSlow(incumbent)) return false;
    if (candidate.late > 1 && candidate.late > candidate.calls * 0.1) return true;
    const error = errorOf(incumbent, candidate);
    return this.gain(incumbent, candidate) < -Math.max(0.2, 3 * error);
  }

  #verdict(): TrialVerdict {
    const { objectiveMs } = this.#terms;
    const last = this.#pairs >= this.#terms.mostPairs;
    const [before, after] = [this.#old, this.#new];
    if (this.#tooSlow(before)) return this.#escape(last);
    const room = Math.log(objectiveMs) - after.logP99;
    if (room < -1.5 * after.logP99Error || (last && room < 0)) return "worse";
    const verdict = this.#compare(last);
    return verdict === "worse" || room > after.logP99Error || last ? verdict : "undecided";
  }

  #tooSlow(stats: CallStats): boolean {
    return stats.logP99 - stats.logP99Error > Math.log(this.#terms.objectiveMs);
  }

  /** The incumbent misses the objective: better is what comes nearer to it. */
  #escape(last: boolean): TrialVerdict {
    const faster = this.#old.logP99 - this.#new.logP99;
    const error = Math.hypot(this.#old.logP99Error, this.#new.logP99Error);
    if (faster > 1.5 * error) return "better";
    return faster < -error || last ? "worse" : "undecided";
  }

  #compare(last: boolean): TrialVerdict {
    const gain = this.gain();
    const error = errorOf(this.#old, this.#new);
    const first = this.#pairs === 1;
    const { tolerance, worthIt } = this.#terms;
    if (gain > Math.max(first ? clearGain : worthIt, (first ? 3.5 : last ? 1.5 : 2.2) * error))
      return "better";
    if (gain < -Math.max(first ? clearLoss : tolerance, (first ? 2.5 : 1.5) * error))
      return "worse";
    if (first) return "undecided";
    if (tolerance > 0 && gain - 1.5 * error > -tolerance) return "tie";
    if (tolerance === 0 && gain + error < worthIt) return "worse";
    if (!last) return "undecided";
    return tolerance > 0 && gain - 0.7 * error > -tolerance ? "tie" : "worse";
  }
}

function errorOf(one: CallStats, other: CallStats): number {
  return dependence * Math.sqrt(one.relativeVariance + other.relativeVariance);
}
