import type { Timers } from "../../src/index.ts";

interface Armed {
  readonly callback: () => void;
  readonly at: number;
  readonly order: number;
}

/** A clock and timers that only move when told to. */
export class VirtualTime implements Timers {
  #now = 0;
  #order = 0;
  readonly #armed = new Set<Armed>();

  readonly now = (): number => this.#now;

  get armed(): number {
    return this.#armed.size;
  }

  set(callback: () => void, delayMs: number): unknown {
    const timer = { callback, at: this.#now + delayMs, order: this.#order++ };
    this.#armed.add(timer);
    return timer;
  }

  clear(handle: unknown): void {
    this.#armed.delete(handle as Armed);
  }

  /** Promise that resolves after `delayMs` of this clock. */
  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.set(resolve, delayMs));
  }

  /** Runs everything due in the next `ms`, in order, with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (let due = this.#due(until); due !== undefined; due = this.#due(until)) {
      this.#now = Math.max(this.#now, due.at);
      this.#armed.delete(due);
      due.callback();
      await turn();
    }
    this.#now = until;
    await turn();
  }

  #due(until: number): Armed | undefined {
    let first: Armed | undefined;
    for (const timer of this.#armed)
      if (timer.at <= until && (first === undefined || precedes(timer, first))) first = timer;
    return first;
  }
}

/** Lets every microtask and tick that is due run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function precedes(one: Armed, other: Armed): boolean {
  return one.at === other.at ? one.order < other.order : one.at < other.at;
}
