import type { Schedule } from "../../src/schedule.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock and its timers, which only move when they are told to. */
export class FakeTime {
  #nowMs = 1000;
  readonly #timers = new Set<Timer>();

  get pending(): number {
    return this.#timers.size;
  }

  readonly now = (): number => this.#nowMs;

  readonly schedule: Schedule = (callback, delayMs) => {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  };

  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (let next = this.#nextUntil(endMs); next !== undefined; next = this.#nextUntil(endMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  #nextUntil(endMs: number): Timer | undefined {
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs);
    return due.toSorted((a, b) => a.dueMs - b.dueMs)[0];
  }
}

/** Lets what is under way on real sockets go on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Moves the clock a little with each turn, until the promise is settled. */
export async function driven<T>(time: FakeTime, promise: Promise<T>): Promise<T> {
  const state = { settled: false };
  const done = promise.finally(() => (state.settled = true));
  // One that fails before the loop ends is handled at its end.
  done.catch(() => undefined);
  for (await turn(); !state.settled; await turn()) time.advance(1);
  return done;
}
