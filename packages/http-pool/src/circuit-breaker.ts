import type { Schedule } from "./schedule.ts";

export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitOptions {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** Part of the requests of one window that must fail to open it, 0 to 1. */
  readonly failureRate: number;
  /** Requests within a window before the rate counts. */
  readonly minRequests: number;
  readonly windowMs: number;
  /** Until it lets a trial through. */
  readonly openMs: number;
  /** Requests at the same time while it is half-open. */
  readonly trials: number;
  /** After which a trial that has not ended holds up no other; `openMs` by default. */
  readonly trialMs?: number;
}

interface Window {
  requests: number;
  failures: number;
}

/**
 * The circuit breaker of M. Nygard, "Release It!": closed it counts, open it refuses, half-open it lets a few
 * requests through, of which one success closes it and one failure opens it again.
 */
export class CircuitBreaker {
  readonly #options: CircuitOptions;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  readonly #onChange: (from: CircuitState, to: CircuitState) => void;
  #state: CircuitState = "closed";
  #inARow = 0;
  #trials = 0;
  /** When the last trial began. */
  #trialSince = 0;
  #openUntil = 0;
  #window: Window = { requests: 0, failures: 0 };
  #windowSince: number;
  #cancelTimer: (() => void) | undefined;

  constructor(
    options: CircuitOptions,
    now: () => number,
    schedule: Schedule,
    onChange: (from: CircuitState, to: CircuitState) => void,
  ) {
    this.#options = options;
    this.#now = now;
    this.#schedule = schedule;
    this.#onChange = onChange;
    this.#windowSince = now();
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** Whether a request may be sent now. */
  get admits(): boolean {
    if (this.#state === "half-open")
      return this.#trials < this.#options.trials || this.#trialLeftMs <= 0;
    return this.#state === "closed";
  }

  /** Milliseconds until a request may be sent, as far as is known. */
  get retryAfterMs(): number {
    if (this.#state === "closed") return 0;
    const leftMs = this.#state === "open" ? this.#openUntil - this.#now() : this.#trialLeftMs;
    return Math.max(1, leftMs);
  }

  /** A request is sent. True when it is a trial, whose end must be told with `endTrial`. */
  begin(): boolean {
    if (this.#state !== "half-open") return false;
    this.#trials += 1;
    this.#trialSince = this.#now();
    return true;
  }

  endTrial(): void {
    this.#trials = Math.max(0, this.#trials - 1);
  }

  succeeded(): void {
    this.#count(0);
    this.#inARow = 0;
    if (this.#state === "half-open") this.#change("closed");
  }

  failed(): void {
    this.#count(1);
    this.#inARow += 1;
    const { failures, failureRate, minRequests } = this.#options;
    const { requests, failures: failed } = this.#window;
    const tooMany = requests >= minRequests && failed >= requests * failureRate;
    if (this.#state === "half-open") this.#open();
    else if (this.#state === "closed" && (this.#inARow >= failures || tooMany)) this.#open();
  }

  /** There is reason to believe that it works again: one request shall find out. */
  tryAgain(): void {
    if (this.#state === "half-open") return;
    this.#trials = 0;
    this.#change("half-open");
  }

  [Symbol.dispose](): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** One request that takes long, or never ends, must not keep all others away. */
  get #trialLeftMs(): number {
    const { openMs, trialMs = openMs } = this.#options;
    return this.#trialSince + trialMs - this.#now();
  }

  #open(): void {
    const { openMs } = this.#options;
    this.#openUntil = this.#now() + openMs;
    this.#change("open");
    this.#cancelTimer = this.#schedule(() => this.tryAgain(), openMs);
  }

  #change(to: CircuitState): void {
    const from = this.#state;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#state = to;
    if (to === "closed") {
      this.#inARow = 0;
      this.#window = { requests: 0, failures: 0 };
    }
    this.#onChange(from, to);
  }

  #count(failures: 0 | 1): void {
    const now = this.#now();
    if (now - this.#windowSince >= this.#options.windowMs) {
      this.#windowSince = now;
      this.#window = { requests: 0, failures: 0 };
    }
    this.#window.requests += 1;
    this.#window.failures += failures;
  }
}
