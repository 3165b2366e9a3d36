import { CallStats } from "./call-stats.ts";
import type { BatchRecord, BatchSettings } from "./controller.ts";

/** A window does not wait longer than so many times its calls for the end of a burst. */
const patience = 4;

/** Some calls under one setting, once every call of the settings before has ended. */
export class Window {
  /** Its own object: calls that began under other settings are told apart by identity. */
  readonly settings: BatchSettings;
  readonly stats: CallStats = new CallStats();
  readonly #objectiveMs: number;
  readonly #needed: number;
  #unfilled = 0;
  #saturated = 0;
  #bursts = false;
  #idle = false;

  constructor(settings: BatchSettings, calls: number, objectiveMs: number) {
    this.settings = { ...settings };
    this.#needed = Math.max(calls, settings.concurrency);
    this.#objectiveMs = objectiveMs;
  }

  /** `idle`: nothing runs after this call. Windows over bursts end where a burst ends. */
  add(call: BatchRecord, chargedMs: number, idle: boolean): void {
    this.stats.add(call, chargedMs, this.#objectiveMs);
    if (call.saturated) this.#saturated += 1;
    this.#bursts ||= idle;
    this.#idle = idle;
  }

  /** A call that tells nothing: there was too little work to fill it. */
  skip(): void {
    this.#unfilled += 1;
  }

  get complete(): boolean {
    if (this.stats.calls < this.#needed || this.#saturated * 2 < this.stats.calls) return false;
    return !this.#bursts || this.#idle || this.stats.calls > patience * this.#needed;
  }

  /** There is not enough work to measure these settings. */
  get hopeless(): boolean {
    return this.#unfilled + this.stats.calls - 2 * this.#saturated > 2 * this.#needed;
  }
}
