import type { Waiter } from "./intake.ts";

/** Who waits for room in the queue: a line for each key, so that one whose share is full does not hold up the others. */
export class WaitingRoom {
  readonly #lines = new Map<string | undefined, Waiter[]>();

  get empty(): boolean {
    return this.#lines.size === 0;
  }

  /** First come, first admitted, within a key. */
  enter(waiter: Waiter, key: string | undefined): void {
    const line = this.#lines.get(key);
    if (line !== undefined) line.push(waiter);
    else if (!waiter.admit()) this.#lines.set(key, [waiter]);
  }

  /** There may be room. Who was asked first is asked last the next time. */
  admit(): void {
    if (this.#lines.size === 0) return;
    const lines = [...this.#lines];
    for (const [key, line] of lines) {
      while (line[0]?.admit() === true) line.shift();
      if (line.length === 0) this.#lines.delete(key);
    }
    const [first] = lines;
    if (first === undefined || !this.#lines.delete(first[0])) return;
    this.#lines.set(...first);
  }

  refuse(reason: unknown): void {
    const waiters = [...this.#lines.values()].flat();
    this.#lines.clear();
    for (const waiter of waiters) waiter.refuse(reason);
  }
}
