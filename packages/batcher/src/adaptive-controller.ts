import type { BatchController, BatchRecord, BatchSettings } from "./controller.ts";
import { LossBudget } from "./loss-budget.ts";
import { Trial } from "./trial.ts";
import type { TrialVerdict } from "./trial.ts";
import { Window } from "./window.ts";
import type { Measure } from "./window.ts";

export interface AdaptiveControllerOptions {
  readonly maxBatchSize: number;
  readonly maxConcurrentBatches: number;
  /** Where it starts, and what it goes back to when adapting does not pay. */
  readonly home: BatchSettings;
  /** 95 % of the calls must end within it. */
  readonly latencyObjectiveMs?: number;
}

type Direction = "size-up" | "size-down" | "concurrency-up" | "concurrency-down" | "home";

const directions: readonly Direction[] = [
  "size-up",
  "concurrency-up",
  "size-down",
  "concurrency-down",
  "home",
];
const coarse = 2;
const fine = Math.SQRT2;
const shortestQuiet = 8;
const longestQuiet = 128;
const hopeless = 0.6;
/** Shares of the time that worse settings may cost: away from home there is a gain to spend from. */
const lossAtHome = 0.02;
const lossElsewhere = 0.1;
const shifted = Math.log(1.3);

/**
 * Climbs size and concurrency, one at a time and by factors, on the goodput of successful items. Every step is a paired trial
 * against the incumbent; home is a candidate of every cycle. Trials of worse settings may cost 2 % of the time at home, 10 % elsewhere; a cycle without a
 * gain is followed by a rest, twice as long each time, which ends when the goodput of the incumbent shifts by 30 %. Only
 * saturated batches count: with less work than the settings allow there is nothing to learn from them.
 */
export class AdaptiveController implements BatchController {
  readonly #options: AdaptiveControllerOptions;
  readonly #budget = new LossBudget();
  #incumbent: BatchSettings;
  #window: Window;
  #trial: Trial | undefined = undefined;
  #baseline: Measure | undefined = undefined;
  #expected: number | undefined = undefined;
  #turn = 0;
  #misses = 0;
  #factor = coarse;
  #quiet = shortestQuiet;
  #resting = 0;
  #strange = 0;
  #trials = 0;
  #moves = 0;
  /** Batches under way, under the settings of this window and of those before. */
  #running = 0;
  #stragglers = 0;
  #nowMs = 0;
  #trialSinceMs = 0;
  /** How a rejected candidate compared, while its batches are still under way. */
  #draining: number | undefined = undefined;

  constructor(options: AdaptiveControllerOptions) {
    this.#options = options;
    this.#incumbent = options.home;
    this.#window = new Window(this.#incumbent, this.#objectiveMs);
  }

  next(): BatchSettings {
    return this.#window.settings;
  }

  started(settings: BatchSettings): void {
    if (settings === this.#window.settings) this.#running += 1;
  }

  record(batch: BatchRecord): void {
    this.#nowMs = Math.max(this.#nowMs, batch.startedAtMs + batch.durationMs);
    if (batch.settings !== this.#window.settings) return this.#onStraggler(batch);
    if (batch.attempt === 1) this.#running = Math.max(this.#running - 1, 0);
    if (!batch.saturated) return this.#measureIncumbent();
    if (this.#stragglers > 0) return;
    this.#window.add(batch);
    if (this.#trial !== undefined && this.#isHopeless()) return this.#conclude("worse");
    if (!this.#window.complete) return;
    const { measure } = this.#window;
    if (this.#trial === undefined) this.#onIncumbent(measure);
    else if (this.#baseline === undefined) this.#onBaseline(measure, this.#trial);
    else this.#conclude(this.#trial.add(this.#baseline.score, measure.score));
  }

  stats(): Readonly<Record<string, number | string | boolean>> {
    return {
      size: this.#incumbent.size,
      concurrency: this.#incumbent.concurrency,
      trying: this.#trial !== undefined,
      trials: this.#trials,
      moves: this.#moves,
      goodputPerSecond: (this.#expected ?? 0) * 1_000,
    };
  }

  #onStraggler(batch: BatchRecord): void {
    if (batch.attempt > 1 || this.#stragglers === 0) return;
    this.#stragglers -= 1;
    if (this.#stragglers > 0 || this.#draining === undefined) return;
    this.#budget.book(this.#nowMs - this.#trialSinceMs, this.#draining);
    this.#draining = undefined;
  }

  /** Also gives up a trial that is under way: without enough work it would never end. */
  #measureIncumbent(): void {
    this.#trial = undefined;
    this.#baseline = undefined;
    this.#open(this.#incumbent);
  }

  #onIncumbent(measure: Measure): void {
    this.#notice(measure);
    this.#resting -= 1;
    const share = this.#incumbent === this.#options.home ? lossAtHome : lossElsewhere;
    const affordable = this.#budget.allows(this.#nowMs, this.#window.durationMs, share);
    const candidate =
      this.#resting > 0 || !affordable || measure.score === 0 ? undefined : this.#nextCandidate();
    if (candidate === undefined) return this.#measureIncumbent();
    this.#trials += 1;
    this.#trial = new Trial(candidate, this.#incumbent);
    this.#onBaseline(measure, this.#trial);
  }

  #onBaseline(measure: Measure, trial: Trial): void {
    this.#baseline = measure;
    this.#trialSinceMs = this.#nowMs;
    this.#open(trial.candidate);
  }

  #conclude(verdict: TrialVerdict): void {
    const trial = this.#trial;
    this.#bookTrial();
    this.#baseline = undefined;
    if (verdict === "undecided" || trial === undefined) return this.#open(this.#incumbent);
    if (verdict === "worse") this.#miss();
    else {
      this.#moves += 1;
      this.#incumbent = trial.candidate;
      this.#expected = this.#window.measure.goodput;
      if (verdict === "better") {
        this.#misses = 0;
        this.#quiet = shortestQuiet;
      }
    }
    this.#measureIncumbent();
  }

  #bookTrial(): void {
    const { broken, complete, forecast, measure } = this.#window;
    const goodput = complete ? measure.goodput : (forecast ?? 0);
    const ratio = broken > 0 ? 0 : goodput / (this.#baseline?.goodput ?? Infinity);
    this.#budget.book(this.#nowMs - this.#trialSinceMs, ratio);
    this.#trialSinceMs = this.#nowMs;
    this.#draining = ratio;
  }

  #miss(): void {
    this.#turn += 1;
    this.#misses += 1;
    if (this.#misses < directions.length) return;
    this.#misses = 0;
    if (this.#factor === coarse) {
      this.#factor = fine;
      return;
    }
    this.#resting = this.#quiet;
    this.#quiet = Math.min(this.#quiet * 2, longestQuiet);
  }

  /** A lasting shift of the incumbent's goodput means that what was learned no longer holds. */
  #notice({ goodput }: Measure): void {
    const expected = this.#expected ?? goodput;
    const strange =
      Math.abs(Math.log(Math.max(goodput, 1e-9) / Math.max(expected, 1e-9))) > shifted;
    this.#strange = strange ? this.#strange + 1 : 0;
    this.#expected = strange && this.#strange < 2 ? expected : (expected + goodput) / 2;
    if (this.#strange < 2) return;
    this.#strange = 0;
    this.#expected = goodput;
    this.#resting = 0;
    this.#misses = 0;
    this.#quiet = shortestQuiet;
    this.#factor = coarse;
  }

  /** The candidate breaks what did not break before, or is far behind after a few calls. */
  #isHopeless(): boolean {
    const baseline = this.#baseline;
    if (baseline === undefined) return false;
    if (this.#window.broken > 0 && baseline.broken === 0) return true;
    const { forecast } = this.#window;
    return forecast !== undefined && forecast < baseline.goodput * hopeless;
  }

  #nextCandidate(): BatchSettings | undefined {
    for (let tries = 0; tries < directions.length * 2 && this.#resting <= 0; tries++) {
      const candidate = this.#step(directions[this.#turn % directions.length] ?? "home");
      const { size, concurrency } = this.#incumbent;
      if (candidate.size !== size || candidate.concurrency !== concurrency) return candidate;
      this.#miss();
    }
    return undefined;
  }

  #step(direction: Direction): BatchSettings {
    const { maxBatchSize, maxConcurrentBatches, home } = this.#options;
    const { size, concurrency } = this.#incumbent;
    const factor = this.#factor;
    if (direction === "size-up")
      return { ...home, concurrency, size: up(size, factor, maxBatchSize) };
    if (direction === "size-down") return { ...home, concurrency, size: down(size, factor) };
    if (direction === "concurrency-up")
      return { ...home, size, concurrency: up(concurrency, factor, maxConcurrentBatches) };
    if (direction === "concurrency-down")
      return { ...home, size, concurrency: down(concurrency, factor) };
    return home;
  }

  #open(settings: BatchSettings): void {
    this.#stragglers += this.#running;
    this.#running = 0;
    this.#window = new Window(settings, this.#objectiveMs);
  }

  get #objectiveMs(): number {
    return this.#options.latencyObjectiveMs ?? Infinity;
  }
}

function up(value: number, factor: number, most: number): number {
  return Math.min(Math.max(Math.round(value * factor), value + 1), most);
}

function down(value: number, factor: number): number {
  return Math.max(Math.min(Math.round(value / factor), value - 1), 1);
}
