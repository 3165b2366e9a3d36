import type { Settings } from "./options.ts";

/** For so long after a failure an entry that may be served stale is served without another try. */
const retryMs = 1_000;

/** The budget of refreshes that no reader waits for: so many at once, and a pause after one that failed. */
export class Refresher {
  readonly #settings: Settings;
  readonly #failedAt = new WeakMap<object, number>();
  readonly #refreshed = new WeakSet<object>();
  #running = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  get running(): number {
    return this.#running;
  }

  admits(entry: object): boolean {
    return this.#running < this.#settings.maxRefreshes && !this.rests(entry);
  }

  /** Whether a refresh of the entry is under way. */
  runs(entry: object): boolean {
    return this.#refreshed.has(entry);
  }

  /** Whether computing the entry anew failed a moment ago. */
  rests(entry: object): boolean {
    const failedAt = this.#failedAt.get(entry);
    return failedAt !== undefined && this.#settings.now() < failedAt + retryMs;
  }

  failed(entry: object): void {
    this.#failedAt.set(entry, this.#settings.now());
  }

  /** Holds a place for as long as `refresh` takes; never rejects. */
  async watch(entry: object, refresh: Promise<unknown>): Promise<void> {
    this.#running++;
    this.#refreshed.add(entry);
    try {
      await refresh;
    } catch {
      this.failed(entry);
    } finally {
      this.#running--;
      this.#refreshed.delete(entry);
    }
  }
}
