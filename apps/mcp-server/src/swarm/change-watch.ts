import type { SwarmEvents } from "./events.ts";
import type { SwarmStore } from "./store.ts";

/** How often changes made by other processes are looked for. */
const POLL_MS = 250;

/**
 * Tells that the state may have changed: at once for changes of this process, within {@link POLL_MS} for those of others.
 * A change between construction and `next()` is not missed.
 */
export class ChangeWatch implements Disposable {
  readonly #deadline: AbortSignal;
  readonly #subscription: Disposable;
  readonly #poll: NodeJS.Timeout;
  readonly #wake = (): void => this.#changed.resolve();
  #changed = Promise.withResolvers<void>();

  constructor(store: SwarmStore, events: SwarmEvents, deadline: AbortSignal) {
    this.#deadline = deadline;
    this.#subscription = events.subscribe(this.#wake);
    let version = versionOf(store);
    this.#poll = setInterval(() => {
      const now = versionOf(store);
      if (now !== version) this.#wake();
      version = now;
    }, POLL_MS);
    deadline.addEventListener("abort", this.#wake, { once: true });
  }

  /** Waits for a change; false when the deadline has passed. */
  async next(): Promise<boolean> {
    if (this.#deadline.aborted) return false;
    await this.#changed.promise;
    this.#changed = Promise.withResolvers();
    return !this.#deadline.aborted;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#poll);
    this.#subscription[Symbol.dispose]();
    this.#deadline.removeEventListener("abort", this.#wake);
  }
}

/** A version that cannot be read is a change: whoever then reads the state hears why. */
function versionOf(store: SwarmStore): number {
  try {
    return store.version();
  } catch {
    return Number.NaN;
  }
}
