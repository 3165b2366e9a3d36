import type { Timers } from "../timers.ts";
import { RaceError } from "./errors.ts";

/** Unlike those of a cache they keep the process alive: what hangs is to be reported. */
export const holdingTimers: Timers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

interface Waiter {
  readonly wake: () => void;
  /** Number of the turn before which it is not woken while others wait. */
  readonly due: number;
}

/** So many waiters stand still for so many turns: what can happen meanwhile is where bugs are. */
const stalling = 0.1;
const stallTurns = 100;

/** Wakes those who wait one at a time, in an order that only the random numbers decide. */
export class Turns {
  readonly #random: () => number;
  readonly #waiting: Waiter[] = [];
  #now = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  turn(): Promise<void> {
    const stalls = this.#random() < stalling;
    const due = this.#now + (stalls ? Math.floor(stallTurns * this.#random()) : 0);
    return new Promise((wake) => {
      this.#waiting.push({ wake, due });
    });
  }

  /**
   * Turns the event loop and wakes one waiter each time, until `work` has settled.
   *
   * @throws RaceError after `limitMs`, and whatever `work` rejects with.
   */
  async drive<T>(work: Promise<T>, limitMs: number, turned: () => void = () => {}): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    work.then(end, end);
    const deadline = performance.now() + limitMs;
    for (;;) {
      await nextTurn();
      if (settled) return work;
      if (performance.now() > deadline)
        throw new RaceError(
          `the cache did not settle within limitMs = ${limitMs}; ${this.#waiting.length} wait for a turn`,
        );
      this.#wake();
      turned();
    }
  }

  #wake(): void {
    this.#now++;
    const due = [...this.#waiting.keys()].filter(
      (index) => (this.#waiting[index]?.due ?? 0) <= this.#now,
    );
    const count = due.length > 0 ? due.length : this.#waiting.length;
    const choice = Math.floor(this.#random() * count);
    const [waiter] = this.#waiting.splice(due[choice] ?? choice, 1);
    waiter?.wake();
  }
}

/** One turn of the event loop: every promise that can settle by itself has. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
