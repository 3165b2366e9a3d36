import type { CallStats } from "./call-stats.ts";
import { ChangeDetector } from "./change-detector.ts";
import type { BatchController, BatchRecord, BatchSettings } from "./controller.ts";
import { isBroken } from "./controller.ts";
import type { LoadReading } from "./growth-brake.ts";
import { GrowthBrake } from "./growth-brake.ts";
import { LossBudget } from "./loss-budget.ts";
import { SearchPlan } from "./search-plan.ts";
import { ShareClock } from "./share-clock.ts";
import { Trial } from "./trial.ts";
import type { TrialVerdict } from "./trial.ts";
import { Window } from "./window.ts";

export interface AdaptiveControllerOptions {
  readonly maxBatchSize: number;
  readonly maxConcurrentBatches: number;
  /** Where it starts, and what it goes back to when adapting does not pay. */
  readonly home: BatchSettings;
  /** 99 % of the calls must end within it. */
  readonly latencyObjectiveMs?: number;
  /** Read before a trial of larger settings, which it may only prevent. */
  readonly load?: () => LoadReading;
  /** The smallest size that a backend refused lately. Default: what its own records tell. */
  readonly refusedSize?: () => number;
  /** The largest size that is safe now. */
  readonly safeSize?: () => number;
  /** The same without sizes that are due to be tried again after a pause. */
  readonly settledSize?: () => number;
}

/** A size limit that came down by less than a quarter is no new situation. */
const slightFall = 0.75;
/** So many failures in a row, away from home, are enough to go back there. */
const failuresAway = 3;
const quietCalls = 32;
const callsInAdvance = 40;
/** Shares of the time that worse settings may cost: away from home there is a gain to spend from. */
const lossAtHome = 0.01;
const lossElsewhere = 0.02;
/** What the smaller of two settings may be worse by, all such choices since the last gain together. */
const tolerated = 0.01;
/** After a change for the worse, home may be this much worse still: from there the search is quick. */
const retreatTolerance = 0.1;

/**
 * Climbs size and concurrency by factors on the goodput of successful items. Every step is a paired trial against the incumbent;
 * home is a candidate of every round. Trials of worse settings are paid from a budget; rounds without a gain are followed by a
 * rest, which ends when the calls of the incumbent change (see `ChangeDetector`). Only calls that ran while all slots were full
 * count: with less work than the settings allow there is nothing to learn from them.
 */
export class AdaptiveController implements BatchController {
  #options: AdaptiveControllerOptions;
  readonly #brake: GrowthBrake;
  readonly #budget = new LossBudget(callsInAdvance);
  readonly #plan = new SearchPlan();
  readonly #detector = new ChangeDetector();
  #incumbent: BatchSettings;
  /** The size before the ceiling came down below it. */
  #sizeBeforeFall = 0;
  #window: Window;
  #trial: Trial | undefined = undefined;
  #baseline: CallStats | undefined = undefined;
  #goodput = 0;
  #givenAway = 0;
  #trials = 0;
  #moves = 0;
  #shifts = 0;
  #movedSinceShift = true;
  /** The next trial is whether to begin anew from home. */
  #retreating = false;
  /** Calls under way, under the settings of this window and of those before. */
  #running = 0;
  #stragglers = 0;
  readonly #clock = new ShareClock();
  /** Settings of its own: calls under any others are none of its business. */
  readonly #mine = new WeakSet<BatchSettings>();
  /** Calls in a row of which nothing came through. */
  #failures = 0;
  /** A batch was full since nothing ran. */
  #pressed = false;
  #nowMs = 0;
  #cleanSinceMs = 0;
  #trialSinceMs = 0;

  constructor(options: AdaptiveControllerOptions) {
    this.#options = options;
    this.#brake = new GrowthBrake(options.load);
    this.#incumbent = options.home;
    this.#window = this.#windowOf(options.home, quietCalls >> 1);
  }

  next(): BatchSettings {
    return this.#window.settings;
  }

  started(settings: BatchSettings, atMs: number = this.#nowMs): void {
    this.#clock.start(atMs);
    if (settings === this.#window.settings) this.#running += 1;
    else this.#stragglers += 1;
  }

  record(batch: BatchRecord): void {
    if (!this.#mine.has(batch.settings)) return;
    const endedAtMs = batch.startedAtMs + batch.durationMs;
    this.#nowMs = Math.max(this.#nowMs, endedAtMs);
    const { concurrency } = this.#window.settings;
    const first = batch.attempt === 1;
    const full = first && batch.saturated && this.#clock.running >= concurrency;
    const chargedMs = this.#clock.charge(batch.startedAtMs, endedAtMs);
    this.#clock.end(endedAtMs);
    if (batch.settings !== this.#window.settings) return this.#onStraggler();
    this.#running = Math.max(this.#running - 1, 0);
    if (batch.succeeded > 0) this.#failures = 0;
    if (first && isBroken(batch.outcome) && this.#onBroken(batch)) return;
    if (this.#baseline === undefined && this.#heedCeiling()) return;
    this.#pressed ||= batch.saturated;
    if (!this.#pressed) return this.#onUnfilled();
    const idle = this.#clock.running === 0 && concurrency > 1;
    if (idle) this.#pressed = false;
    if (this.#stragglers > 0 || batch.startedAtMs < this.#cleanSinceMs) return;
    this.#window.add(batch, chargedMs, idle);
    if (this.#window.hopeless) return this.#onUnfilled();
    if (this.#trial === undefined || this.#baseline === undefined) this.#watch(batch, full);
    else if (this.#trial.isHopeless(this.#baseline, this.#window.stats)) this.#conclude("worse");
    else if (this.#window.complete)
      this.#conclude(this.#trial.add(this.#baseline, this.#window.stats));
  }

  /** Goes on within other limits from what was learned, and searches anew from there. */
  retune(options: AdaptiveControllerOptions): void {
    const { home, maxBatchSize, maxConcurrentBatches } = options;
    const { size, concurrency } = this.#incumbent;
    this.#options = options;
    this.#sizeBeforeFall = 0;
    this.#incumbent = {
      ...home,
      size: Math.min(size, maxBatchSize),
      concurrency: Math.min(concurrency, maxConcurrentBatches),
    };
    this.#givenAway = 0;
    this.#retreating = false;
    this.#abandonTrial();
    this.#detector.reset();
    this.#budget.reset(this.#nowMs);
    this.#plan.restart("size-up");
    this.#open(this.#incumbent, quietCalls >> 1);
  }

  stats(): Readonly<Record<string, number | string | boolean>> {
    return {
      size: this.#incumbent.size,
      concurrency: this.#incumbent.concurrency,
      trying: this.#trial !== undefined,
      trials: this.#trials,
      moves: this.#moves,
      shifts: this.#shifts,
      braking: this.#brake.braking,
      goodputPerSecond: this.#goodput * 1_000,
    };
  }

  #onStraggler(): void {
    if (this.#stragglers === 0) return;
    this.#stragglers -= 1;
    if (this.#stragglers === 0) this.#cleanSinceMs = this.#nowMs;
  }

  /** A call of the incumbent: measured, and watched for change. */
  #watch(batch: BatchRecord, full: boolean): void {
    // Of calls that began together the short ones end first, so the first round is no fair sample.
    const mixed = full && this.#window.stats.calls > this.#window.settings.concurrency;
    const change = mixed ? this.#detector.add(batch.durationMs) : undefined;
    if (change !== undefined) return this.#onShift(change);
    if (!this.#window.complete) return;
    const { stats } = this.#window;
    this.#goodput = stats.goodput;
    if (this.#trial !== undefined) this.#tryOut(this.#trial, stats);
    else this.#consider(stats);
  }

  #consider(stats: CallStats): void {
    const late = stats.logP99 - stats.logP99Error > Math.log(this.#objectiveMs);
    if (late) this.#plan.resume("size-down", this.#nowMs);
    const callMs = stats.typicalMs;
    const share = this.#atHome ? lossAtHome : lossElsewhere;
    const affordable = late || this.#budget.allows(this.#nowMs, callMs, share);
    const candidate =
      affordable && stats.goodput > 0
        ? this.#plan.next(this.#incumbent, this.#bounds, this.#nowMs)
        : undefined;
    if (candidate === undefined) return this.#open(this.#incumbent, quietCalls);
    this.#trials += 1;
    const { worthIt, mostPairs } = this.#plan.level;
    const tolerance = this.#toleranceFor(candidate);
    const terms = this.#retreating
      ? { tolerance: retreatTolerance, worthIt, mostPairs: 2 }
      : { tolerance, worthIt, mostPairs };
    this.#retreating = false;
    const trial = new Trial(candidate, { objectiveMs: this.#objectiveMs, ...terms });
    this.#trial = trial;
    this.#tryOut(trial, stats);
  }

  #tryOut(trial: Trial, baseline: CallStats): void {
    this.#baseline = baseline;
    this.#trialSinceMs = this.#nowMs;
    this.#open({ ...trial.candidate, probing: true }, trial.windowCalls);
  }

  #conclude(verdict: TrialVerdict): void {
    const trial = this.#trial;
    const baseline = this.#baseline;
    if (trial === undefined || baseline === undefined) return;
    const { stats } = this.#window;
    const gain = stats.calls === 0 ? -Infinity : trial.gain(baseline, stats);
    this.#budget.book(this.#nowMs - this.#trialSinceMs, Math.exp(gain));
    this.#baseline = undefined;
    if (verdict === "undecided") return this.#open(this.#incumbent, trial.windowCalls);
    this.#trial = undefined;
    if (verdict === "worse") {
      this.#plan.miss(this.#nowMs);
      return this.#open(this.#incumbent, trial.windowCalls);
    }
    this.#move(trial);
  }

  #move(trial: Trial): void {
    this.#moves += 1;
    this.#movedSinceShift = true;
    this.#incumbent = trial.candidate;
    this.#sizeBeforeFall = 0;
    this.#detector.reset();
    this.#plan.hit(trial.gain());
    if (trial.gain() < -retreatTolerance) {
      // For the objective's sake, or back to home: what was spent and tried elsewhere is no reason to stay here.
      this.#budget.reset(this.#nowMs);
      this.#plan.restart("size-up");
    }
    this.#givenAway = Math.max(this.#givenAway - trial.gain(), 0);
    this.#goodput = trial.candidateStats.goodput;
    this.#consider(trial.candidateStats);
  }

  /** True when nothing else is to be learned from the call. */
  #onBroken({ outcome }: BatchRecord): boolean {
    if (outcome !== "too-large") this.#failures += 1;
    const away = this.#failures >= failuresAway;
    if (this.#trial !== undefined && this.#baseline !== undefined) {
      // A bad item fails calls of any size: that counts for what it costs.
      if (outcome === "failed" && !away) return false;
      this.#conclude("worse");
      return true;
    }
    if (!away || this.#atHome) return false;
    this.#incumbent = this.#options.home;
    this.#sizeBeforeFall = 0;
    this.#onShift("slower");
    return true;
  }

  /** The incumbent goes down with the ceiling, and up again as far as it was. True when it moved. */
  #heedCeiling(): boolean {
    const safe = this.#options.safeSize?.() ?? Infinity;
    const { size } = this.#incumbent;
    const risen = Math.min(this.#options.settledSize?.() ?? 0, this.#sizeBeforeFall);
    if (safe >= size && risen <= size) return false;
    this.#sizeBeforeFall = Math.max(this.#sizeBeforeFall, size);
    const fell = safe < size * slightFall;
    this.#incumbent = { ...this.#incumbent, size: Math.min(safe, Math.max(risen, size)) };
    if (fell) this.#onShift("slower");
    else {
      this.#abandonTrial();
      this.#detector.reset();
      this.#open(this.#incumbent, quietCalls);
    }
    return true;
  }

  /** What was learned no longer holds: gives up a trial under way and searches anew, from home if it got worse. */
  #onShift(change: "slower" | "faster"): void {
    this.#shifts += 1;
    this.#detector.reset();
    this.#detector.judge(this.#movedSinceShift);
    this.#movedSinceShift = false;
    this.#givenAway = 0;
    this.#abandonTrial();
    this.#budget.reset(this.#nowMs);
    this.#retreating = change === "slower" && !this.#atHome;
    this.#plan.restart(this.#retreating ? "home" : "size-up");
    this.#open(this.#incumbent, quietCalls >> 2);
  }

  /** Also gives up a trial that is under way: without enough work it would never end. */
  #onUnfilled(): void {
    this.#window.skip();
    if (!this.#window.hopeless) return;
    if (this.#trial !== undefined) this.#plan.miss(this.#nowMs);
    this.#abandonTrial();
    this.#open(this.#incumbent, quietCalls);
  }

  #abandonTrial(): void {
    this.#trial = undefined;
    this.#baseline = undefined;
  }

  #toleranceFor({ size, concurrency }: BatchSettings): number {
    const smaller = size <= this.#incumbent.size && concurrency <= this.#incumbent.concurrency;
    return smaller && this.#plan.allowsTies ? Math.max(tolerated - this.#givenAway, 0) : 0;
  }

  #open(settings: BatchSettings, calls: number): void {
    this.#stragglers += this.#running;
    this.#running = 0;
    this.#window = this.#windowOf(settings, calls);
    if (this.#stragglers === 0) this.#cleanSinceMs = this.#nowMs;
  }

  #windowOf(settings: BatchSettings, calls: number): Window {
    const window = new Window(settings, calls, this.#objectiveMs);
    this.#mine.add(window.settings);
    return window;
  }

  get #atHome(): boolean {
    const { home } = this.#options;
    return this.#incumbent.size === home.size && this.#incumbent.concurrency === home.concurrency;
  }

  get #bounds() {
    const { maxBatchSize, maxConcurrentBatches, home, refusedSize } = this.#options;
    return {
      maxBatchSize,
      maxConcurrentBatches,
      home,
      refusedSize: refusedSize?.() ?? Infinity,
      mayGrow: this.#brake.mayGrow(),
    };
  }

  get #objectiveMs(): number {
    return this.#options.latencyObjectiveMs ?? Number.MAX_VALUE;
  }
}
