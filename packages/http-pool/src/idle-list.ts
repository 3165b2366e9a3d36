import type { Connection } from "./connection.ts";
import { LinkedList } from "./linked-list.ts";

/** Idle connections: the one used last is reused first, the one unused longest is evicted first. */
export class IdleList {
  readonly #list = new LinkedList<Connection>();

  get size(): number {
    return this.#list.size;
  }

  get longestIdle(): Connection | undefined {
    return this.#list.first;
  }

  push(connection: Connection): void {
    this.#list.append(connection.idleNode);
  }

  pop(): Connection | undefined {
    const { last } = this.#list;
    if (last !== undefined) this.#list.remove(last.idleNode);
    return last;
  }

  remove(connection: Connection): boolean {
    return this.#list.remove(connection.idleNode);
  }

  /** The `count` used last, from the last. */
  last(count: number): readonly Connection[] {
    const found: Connection[] = [];
    for (const connection of this.#list.reversed()) {
      if (found.length >= count) break;
      found.push(connection);
    }
    return found;
  }

  /** From the longest idle; closing while iterating is fine. */
  [Symbol.iterator](): Iterator<Connection> {
    return this.#list[Symbol.iterator]();
  }
}
