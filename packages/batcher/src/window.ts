import type { BatchRecord, BatchSettings } from "./controller.ts";

export interface Measure {
  /** Successful items per millisecond. */
  readonly goodput: number;
  /** What settings are compared by: goodput, or next to nothing when the latency objective was missed. */
  readonly score: number;
  /** Calls that failed as a whole. */
  readonly broken: number;
}

const leastCalls = 12;
const fewCalls = 3;
const leastRounds = 3;
const lateAllowed = 0.05;

/** Measures one setting over some rounds of calls, after a first round in which calls of the setting before were running. */
export class Window {
  /** Its own object: calls that began under other settings are told apart by identity. */
  readonly settings: BatchSettings;
  readonly #objectiveMs: number;
  readonly #needed: number;
  #warmUp: number;
  #seen = 0;
  #allSucceeded = 0;
  #allBusyMs = 0;
  #calls = 0;
  #succeeded = 0;
  #broken = 0;
  #late = 0;
  #busyMs = 0;
  #from = 0;
  #until = 0;

  constructor(settings: BatchSettings, objectiveMs: number) {
    this.settings = { ...settings };
    this.#objectiveMs = objectiveMs;
    const { concurrency } = settings;
    this.#warmUp = concurrency;
    this.#needed = Math.max(leastRounds, Math.ceil(leastCalls / concurrency)) * concurrency;
  }

  add(call: BatchRecord): void {
    const endedAt = call.startedAtMs + call.durationMs;
    if (call.outcome !== "ok" && call.outcome !== "partial") this.#broken += 1;
    this.#seen += 1;
    this.#allSucceeded += call.succeeded;
    this.#allBusyMs += call.durationMs;
    if (this.#warmUp > 0) {
      this.#warmUp -= 1;
      this.#from = Math.max(this.#from, endedAt);
      return;
    }
    this.#calls += 1;
    this.#succeeded += call.succeeded;
    this.#busyMs += call.durationMs;
    if (call.durationMs > this.#objectiveMs) this.#late += 1;
    this.#until = Math.max(this.#until, endedAt);
  }

  get complete(): boolean {
    return this.#calls >= this.#needed;
  }

  /** Goodput as the first calls alone tell it, if every slot does as they did; undefined before there are a few. */
  get forecast(): number | undefined {
    const { concurrency } = this.settings;
    if (this.#seen < Math.min(concurrency, fewCalls)) return undefined;
    return (this.#allSucceeded / Math.max(this.#allBusyMs, 0.001)) * concurrency;
  }

  get durationMs(): number {
    return this.#until - this.#from;
  }

  get broken(): number {
    return this.#broken;
  }

  get measure(): Measure {
    const goodput = this.#succeeded / Math.max(this.#until - this.#from, 0.001);
    const met = this.#late <= this.#calls * lateAllowed;
    const score = met ? goodput : 1e-6 / Math.max(this.#busyMs / this.#calls, 0.001);
    return { goodput, score, broken: this.#broken };
  }
}
