import { RaceError } from "./errors.ts";

/** Wakes those who wait one at a time, in an order that only the random numbers decide. */
export class Turns {
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
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
    const index = Math.floor(this.#random() * this.#waiting.length);
    const [waiter] = this.#waiting.splice(index, 1);
    waiter?.();
  }
}

/** One turn of the event loop: every promise that can settle by itself has. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
