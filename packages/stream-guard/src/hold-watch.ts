import { LinkedQueue } from "./linked-queue.ts";
import type { LinkedNode } from "./linked-queue.ts";
import type { Schedule } from "./schedule.ts";

interface Hold<T> {
  readonly item: T;
  readonly deadline: number;
}

/** Reports each item that is still held `maxHoldMs` after it was added, once, with one timer for all. */
export class HoldWatch<T> {
  readonly #maxHoldMs: number;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  readonly #onLong: (item: T) => void;
  /** All hold equally long, so that the oldest is always the first due. */
  readonly #holds = new LinkedQueue<Hold<T>>();
  #cancel: (() => void) | undefined;

  constructor(maxHoldMs: number, now: () => number, schedule: Schedule, onLong: (item: T) => void) {
    this.#maxHoldMs = maxHoldMs;
    this.#now = now;
    this.#schedule = schedule;
    this.#onLong = onLong;
  }

  /** The returned function ends the watch over `item`. */
  add(item: T): () => void {
    const node: LinkedNode<Hold<T>> = this.#holds.push({
      item,
      deadline: this.#now() + this.#maxHoldMs,
    });
    this.#arm();
    return () => {
      this.#holds.remove(node);
    };
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    const first = this.#holds.first;
    if (first === undefined || this.#cancel !== undefined) return;
    const delayMs = Math.max(1, first.value.deadline - this.#now());
    this.#cancel = this.#schedule(() => {
      this.#cancel = undefined;
      this.#report();
      this.#arm();
    }, delayMs);
  }

  #report(): void {
    for (;;) {
      const first = this.#holds.first;
      if (first === undefined || first.value.deadline > this.#now()) return;
      this.#holds.remove(first);
      this.#onLong(first.value.item);
    }
  }
}
