import { LinkedList } from "./linked-list.ts";
import type { LinkedNode } from "./linked-list.ts";
import type { Schedule } from "./schedule.ts";

export interface Hedgeable {
  readonly createdAt: number;
  /** It waits for an answer for too long. */
  hedge(): void;
}

/** Requests that wait for an answer, the oldest first; one timer for all, since all may wait equally long. */
export class HedgeQueue<T extends Hedgeable> {
  readonly #list = new LinkedList<T>();
  readonly #now: () => number;
  readonly #schedule: Schedule;
  /** Undefined while it is not known. */
  readonly #delayMs: () => number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(now: () => number, schedule: Schedule, delayMs: () => number | undefined) {
    this.#now = now;
    this.#schedule = schedule;
    this.#delayMs = delayMs;
  }

  add(node: LinkedNode<T>): void {
    const delayMs = this.#delayMs();
    if (delayMs === undefined) return;
    this.#list.append(node);
    this.#arm(delayMs);
  }

  remove(node: LinkedNode<T>): void {
    this.#list.remove(node);
  }

  [Symbol.dispose](): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#list.clear();
  }

  #arm(delayMs: number): void {
    const { first } = this.#list;
    if (first === undefined || this.#cancelTimer !== undefined) return;
    const leftMs = first.createdAt + delayMs - this.#now();
    this.#cancelTimer = this.#schedule(
      () => {
        this.#cancelTimer = undefined;
        this.#hedgeDue();
      },
      Math.max(1, leftMs),
    );
  }

  #hedgeDue(): void {
    const delayMs = this.#delayMs() ?? Infinity;
    const due: T[] = [];
    for (const exchange of this.#list) {
      if (exchange.createdAt + delayMs > this.#now()) break;
      due.push(exchange);
    }
    for (const exchange of due) exchange.hedge();
    if (delayMs !== Infinity) this.#arm(delayMs);
    else this.#list.clear();
  }
}
