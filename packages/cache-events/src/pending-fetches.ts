const maxKeys = 4_096;

/** How many fetches of one generation may be under way, and since when the youngest is. */
interface Generation {
  count: number;
  latestMs: number;
}

/**
 * The fetches that may be under way for a key, by the generation of the key in which each began. A response does not say which fetch
 * it comes from, so it is as old as the oldest that may still be under way. What was given up ends after `timeoutMs`.
 */
export class PendingFetches {
  readonly #keys = new Map<string, Map<string, Generation>>();
  readonly #timeoutMs: number;
  readonly #now: () => number;

  constructor(timeoutMs: number, now: () => number) {
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  begin(key: string, generation: string): void {
    const generations = this.#live(key) ?? new Map<string, Generation>();
    const { count } = generations.get(generation) ?? { count: 0 };
    generations.set(generation, { count: count + 1, latestMs: this.#now() });
    this.#keys.delete(key);
    this.#keys.set(key, generations);
    if (this.#keys.size > maxKeys) this.#dropOldest();
  }

  /** The generation in which the response that has come began; `undefined` when it cannot be told. */
  finish(key: string): string | undefined {
    const generations = this.#live(key);
    const [latest] = [...(generations ?? [])].at(-1) ?? [];
    if (generations === undefined || latest === undefined) return undefined;
    const known = generations.size === 1 ? latest : undefined;
    // It may have been the youngest: the older ones count as still under way.
    const generation = generations.get(latest);
    if (generation !== undefined && --generation.count === 0) generations.delete(latest);
    if (generations.size === 0) this.#keys.delete(key);
    return known;
  }

  #live(key: string): Map<string, Generation> | undefined {
    const generations = this.#keys.get(key);
    if (generations === undefined) return undefined;
    const givenUp = this.#now() - this.#timeoutMs;
    for (const [generation, { latestMs }] of generations)
      if (latestMs < givenUp) generations.delete(generation);
    return generations;
  }

  /** Its responses will have no generation, which is safe. */
  #dropOldest(): void {
    for (const key of this.#keys.keys()) {
      this.#keys.delete(key);
      return;
    }
  }
}
