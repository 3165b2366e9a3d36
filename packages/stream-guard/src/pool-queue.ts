import { LinkedQueue } from "./linked-queue.ts";
import type { LinkedNode } from "./linked-queue.ts";
import type { Permit } from "./permit.ts";
import { PRIORITIES } from "./pool-options.ts";
import type { Priority } from "./pool-options.ts";

export interface PoolWaiter {
  readonly weight: number;
  readonly priority: Priority;
  readonly startedAt: number;
  resolve(permit: Permit): void;
  reject(reason: unknown): void;
}

interface Entry extends PoolWaiter {
  /** Its place among all that came. */
  readonly order: number;
}

export type PoolNode = LinkedNode<Entry>;

/**
 * One queue for each priority. A waiter counts as one priority higher for each `agingMs` that it has
 * waited, and among equals the oldest is first. Since the first of a queue is its oldest, only the
 * three of them compete: every operation is O(1), whatever the length.
 */
export class PoolQueue {
  readonly #agingMs: number;
  readonly #queues: readonly LinkedQueue<Entry>[] = PRIORITIES.map(() => new LinkedQueue<Entry>());
  #size = 0;
  #pushed = 0;

  constructor(agingMs: number) {
    this.#agingMs = agingMs;
  }

  get size(): number {
    return this.#size;
  }

  /** Whose turn it is at `now`. */
  first(now: number): PoolNode | undefined {
    let first: PoolNode | undefined;
    let firstRank = Number.POSITIVE_INFINITY;
    for (const { first: node } of this.#queues) {
      if (node === undefined) continue;
      const rank = this.#rank(node.value, now);
      const older = first === undefined || node.value.order < first.value.order;
      if (rank > firstRank || (rank === firstRank && !older)) continue;
      first = node;
      firstRank = rank;
    }
    return first;
  }

  /** True when somebody who comes at `now` with this priority has nobody before him. */
  isFree(priority: Priority, now: number): boolean {
    const first = this.first(now);
    return first === undefined || this.#rank(first.value, now) > PRIORITIES.indexOf(priority);
  }

  push(waiter: PoolWaiter): PoolNode {
    this.#size += 1;
    this.#pushed += 1;
    return this.#queueOf(waiter).push({ ...waiter, order: this.#pushed });
  }

  /** False when the waiter had already left. */
  remove(node: PoolNode): boolean {
    const removed = this.#queueOf(node.value).remove(node);
    if (removed) this.#size -= 1;
    return removed;
  }

  all(): readonly PoolNode[] {
    return this.#queues.flatMap((queue) => [...queue]);
  }

  #rank({ priority, startedAt }: PoolWaiter, now: number): number {
    return PRIORITIES.indexOf(priority) - Math.floor((now - startedAt) / this.#agingMs);
  }

  #queueOf({ priority }: PoolWaiter): LinkedQueue<Entry> {
    return this.#queues[PRIORITIES.indexOf(priority)]!;
  }
}
