/** Series that are gone but remembered, so that one that comes back goes on where it was. */
const MAX_GONE = 2_000;

/** What a series has counted so far. */
export interface Counted {
  /** They only rise while the series lives. */
  readonly counts: readonly number[];
  /** May fall. */
  readonly sum: number;
}

/** What a point covers. */
export interface Span {
  readonly startMs: number;
  /** What was counted before it began. */
  readonly before: Counted | undefined;
}

interface Series extends Counted {
  readonly startMs: number;
}

/**
 * Since when each series counts. At first that is the start of the process, before which nothing can have been counted; after
 * counts fell, it is the collection before, as the OpenTelemetry data model says for a reset at an unknown time.
 */
export class SeriesSpans {
  readonly #isDelta: boolean;
  readonly #processStartMs: number;
  readonly #series = new Map<string, Series>();
  #live = 0;
  #endMs: number;
  #lastMs: number;

  constructor(isDelta: boolean, processStartMs: number) {
    this.#isDelta = isDelta;
    this.#processStartMs = processStartMs;
    this.#endMs = processStartMs;
    this.#lastMs = processStartMs;
  }

  /** Begins a collection. */
  begin(endMs: number): void {
    this.#lastMs = this.#endMs;
    this.#endMs = endMs;
    this.#live = 0;
  }

  next(key: string, { counts, sum }: Counted): Span {
    const known = this.#series.get(key);
    const hasReset = known?.counts.some((count, index) => (counts[index] as number) < count);
    const startMs = Math.min(this.#endMs, this.#start(known, hasReset === true));
    // Deleted first, so that the oldest come first.
    this.#series.delete(key);
    this.#series.set(key, { startMs: this.#isDelta ? this.#endMs : startMs, counts, sum });
    this.#live += 1;
    return { startMs, before: this.#isDelta && hasReset === false ? known : undefined };
  }

  /** Ends a collection: series that are gone for long are forgotten. */
  end(): void {
    for (const key of this.#series.keys()) {
      if (this.#series.size <= this.#live + MAX_GONE) return;
      this.#series.delete(key);
    }
  }

  #start(known: Series | undefined, hasReset: boolean): number {
    if (known === undefined) return this.#processStartMs;
    return hasReset ? this.#lastMs : known.startMs;
  }
}
