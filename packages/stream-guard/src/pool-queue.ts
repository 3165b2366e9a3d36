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

/** One queue for each priority. Every operation is O(1), whatever the length. */
export class PoolQueue {
  readonly #queues: ReadonlyMap<Priority, LinkedQueue<PoolWaiter>> = new Map(
    PRIORITIES.map((priority) => [priority, new LinkedQueue<PoolWaiter>()]),
  );
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whose turn it is: the oldest of the highest priority. */
  get first(): LinkedNode<PoolWaiter> | undefined {
    for (const queue of this.#queues.values()) if (queue.first !== undefined) return queue.first;
    return undefined;
  }

  /** True when nobody of this priority or a higher one waits. */
  isFree(priority: Priority): boolean {
    const first = this.first;
    return (
      first === undefined || PRIORITIES.indexOf(first.value.priority) > PRIORITIES.indexOf(priority)
    );
  }

  push(waiter: PoolWaiter): LinkedNode<PoolWaiter> {
    this.#size += 1;
    return this.#queues.get(waiter.priority)!.push(waiter);
  }

  /** False when the waiter had already left. */
  remove(node: LinkedNode<PoolWaiter>): boolean {
    const removed = this.#queues.get(node.value.priority)!.remove(node);
    if (removed) this.#size -= 1;
    return removed;
  }

  all(): readonly LinkedNode<PoolWaiter>[] {
    return [...this.#queues.values()].flatMap((queue) => [...queue]);
  }
}
