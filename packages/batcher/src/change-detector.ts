const learned = 16;
const forgetting = 0.02;
const slack = 0.75;
const threshold = 14;
/** From here on the reference stands still, or it would follow the change. */
const suspicion = 3;
const mostPerCall = 4;
const leastSpread = 0.08;
const mostCaution = 4;

/**
 * Watches the logarithm of the durations of one setting's calls for a lasting change, up or down, call by call: the two-sided
 * cumulative sum of E. S. Page ("Continuous inspection schemes", Biometrika 41, 1954) over standardised residuals. The reference
 * follows slow drift. Every alarm that turned out to be of no use raises the threshold.
 */
export class ChangeDetector {
  #calls = 0;
  #mean = 0;
  #variance = 0;
  #up = 0;
  #down = 0;
  #caution = 1;

  /** "slower" or "faster" when the calls have changed; it has forgotten all about them then. */
  add(durationMs: number): "slower" | "faster" | undefined {
    const log = Math.log(Math.max(durationMs, 0.001));
    const residual = log - this.#mean;
    this.#calls += 1;
    const weight = Math.max(1 / this.#calls, forgetting);
    if (this.#calls > learned) {
      const change = this.#inspect(residual / Math.max(Math.sqrt(this.#variance), leastSpread));
      if (change !== undefined) return change;
    }
    if (Math.max(this.#up, this.#down) > suspicion) return undefined;
    const bound = 3 * Math.max(Math.sqrt(this.#variance), leastSpread);
    const step = this.#calls > learned ? Math.max(Math.min(residual, bound), -bound) : residual;
    this.#mean += weight * step;
    this.#variance = (1 - weight) * (this.#variance + weight * step ** 2);
    return undefined;
  }

  /** Forgets the calls, since the setting is another one. */
  reset(): void {
    this.#calls = 0;
    this.#mean = 0;
    this.#variance = 0;
    this.#up = 0;
    this.#down = 0;
  }

  /** The last alarm was for nothing, or for something. */
  judge(useful: boolean): void {
    this.#caution = useful ? 1 : Math.min(this.#caution * 1.5, mostCaution);
  }

  #inspect(deviation: number): "slower" | "faster" | undefined {
    const bounded = Math.max(Math.min(deviation, mostPerCall), -mostPerCall);
    this.#up = Math.max(0, this.#up + bounded - slack);
    this.#down = Math.max(0, this.#down - bounded - slack);
    const most = threshold * this.#caution;
    const change = this.#up > most ? "slower" : this.#down > most ? "faster" : undefined;
    if (change !== undefined) this.reset();
    return change;
  }
}
