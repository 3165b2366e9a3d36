import type { Schedule } from "./schedule.ts";

interface Parked {
  readonly resume: () => void;
  readonly cancelTimeout: () => void;
}

/**
 * Pauses sources: while it is shut, a source whose session holds bytes is not asked for more, so that its
 * own buffer fills and its upstream is held back. It goes on when its session holds nothing any more,
 * when the gate opens, or after `maxPauseMs`, then for one chunk: what is slow must still end.
 */
export class SourceGate {
  readonly #maxPauseMs: number;
  readonly #schedule: Schedule;
  readonly #parked = new Map<unknown, Set<Parked>>();
  #shut = false;
  #size = 0;
  #pauses = 0;

  constructor(maxPauseMs: number, schedule: Schedule) {
    this.#maxPauseMs = maxPauseMs;
    this.#schedule = schedule;
  }

  get shut(): boolean {
    return this.#shut;
  }

  /** Sources paused now. */
  get size(): number {
    return this.#size;
  }

  /** Pauses so far. */
  get pauses(): number {
    return this.#pauses;
  }

  set shut(shut: boolean) {
    this.#shut = shut;
    if (!shut) for (const holder of this.#parked.keys()) this.drained(holder);
  }

  /** Calls `resume` once, later; the returned function cancels it. */
  park(holder: unknown, resume: () => void): () => void {
    const all = this.#parked.get(holder) ?? new Set();
    this.#parked.set(holder, all);
    const parked: Parked = {
      resume,
      cancelTimeout: this.#schedule(() => {
        this.#resume(holder, parked);
      }, this.#maxPauseMs),
    };
    all.add(parked);
    this.#size += 1;
    this.#pauses += 1;
    return () => {
      this.#leave(holder, parked);
    };
  }

  /** `holder` holds nothing any more. */
  drained(holder: unknown): void {
    if (this.#size === 0) return;
    for (const parked of this.#parked.get(holder) ?? []) this.#resume(holder, parked);
  }

  /** In a turn of its own: sources run code of others, and the ledger is being moved. */
  #resume(holder: unknown, parked: Parked): void {
    if (this.#leave(holder, parked)) queueMicrotask(parked.resume);
  }

  #leave(holder: unknown, parked: Parked): boolean {
    const all = this.#parked.get(holder);
    if (all === undefined || !all.delete(parked)) return false;
    parked.cancelTimeout();
    this.#size -= 1;
    if (all.size === 0) this.#parked.delete(holder);
    return true;
  }
}
