import type { HealthCheckResult } from "./health-check.ts";
import type { Schedule } from "./schedule.ts";

export interface ProberOptions {
  readonly intervalMs: number;
  /** Part of the interval that is taken off at random, so that probes do not come together. */
  readonly jitter: number;
  readonly random: () => number;
  readonly schedule: Schedule;
}

/** Probes one upstream again and again, while it is wanted; never two at a time. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #check: () => Promise<HealthCheckResult>;
  readonly #wanted: () => boolean;
  readonly #onResult: (result: HealthCheckResult) => void;
  #cancelTimer: (() => void) | undefined;
  #ended = false;

  constructor(
    options: ProberOptions,
    check: () => Promise<HealthCheckResult>,
    wanted: () => boolean,
    onResult: (result: HealthCheckResult) => void,
  ) {
    this.#options = options;
    this.#check = check;
    this.#wanted = wanted;
    this.#onResult = onResult;
  }

  /** Starts, if there is reason to and it does not run yet. */
  wake(): void {
    if (this.#ended || this.#cancelTimer !== undefined || !this.#wanted()) return;
    const { intervalMs, jitter, random, schedule } = this.#options;
    this.#cancelTimer = schedule(() => void this.#probe(), intervalMs * (1 - jitter * random()));
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#cancelTimer?.();
  }

  async #probe(): Promise<void> {
    const result = await this.#check();
    if (this.#ended) return;
    this.#cancelTimer = undefined;
    if (this.#wanted()) this.#onResult(result);
    this.wake();
  }
}
