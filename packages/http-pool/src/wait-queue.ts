import type { Exchange } from "./exchange.ts";
import { LinkedList, LinkedNode } from "./linked-list.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Schedule } from "./schedule.ts";
import { keepProcess, letProcessGo } from "./waiting.ts";

/** First in, first out, each with a deadline; one timer for all, since all wait equally long. */
export class WaitQueue {
  readonly #list = new LinkedList<Exchange>();
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #schedule: Schedule;
  readonly #expire: (exchange: Exchange) => void;
  #cancelTimer: (() => void) | undefined;

  constructor(
    options: Pick<ResolvedPoolOptions, "queueTimeoutMs" | "now" | "schedule">,
    expire: (exchange: Exchange) => void,
  ) {
    this.#timeoutMs = options.queueTimeoutMs;
    this.#now = options.now;
    this.#schedule = options.schedule;
    this.#expire = expire;
  }

  get size(): number {
    return this.#list.size;
  }

  push(exchange: Exchange): void {
    exchange.queuedAt = this.#now();
    exchange.queueDeadline = exchange.queuedAt + this.#timeoutMs;
    exchange.queuedIn = this;
    this.#list.append(nodeOf(exchange));
    this.#arm();
  }

  /** For a request that is sent again: it has waited before, and keeps its deadline if it has one. */
  pushFirst(exchange: Exchange): void {
    exchange.queuedAt = this.#now();
    const deadline = exchange.queuedAt + this.#timeoutMs;
    const next = this.#list.first?.queueDeadline ?? deadline;
    exchange.queueDeadline = Math.min(deadline, next);
    exchange.queuedIn = this;
    this.#list.prepend(nodeOf(exchange));
    this.#arm();
  }

  /** The one that waits longest within its deadline; the timer of those beyond it may be late. */
  shift(now?: number): Exchange | undefined {
    if (this.#list.size > 0) this.#expireDue(now ?? this.#now());
    const { first } = this.#list;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(exchange: Exchange): boolean {
    if (exchange.queueNode === undefined || exchange.queuedIn !== this) return false;
    return this.#list.remove(exchange.queueNode);
  }

  [Symbol.dispose](): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    letProcessGo(this);
  }

  /** A timer that finds the queue empty ends; setting one for each request that waits would cost more. */
  #arm(): void {
    if (this.#cancelTimer !== undefined) return;
    const { first } = this.#list;
    if (first === undefined) {
      letProcessGo(this);
      return;
    }
    keepProcess(this);
    const delayMs = Math.max(1, first.queueDeadline - this.#now());
    this.#cancelTimer = this.#schedule(() => {
      this.#cancelTimer = undefined;
      this.#expireDue(this.#now());
      this.#arm();
    }, delayMs);
  }

  #expireDue(now: number): void {
    for (let { first } = this.#list; first !== undefined; first = this.#list.first) {
      if (first.queueDeadline > now) return;
      this.remove(first);
      this.#expire(first);
    }
  }
}

function nodeOf(exchange: Exchange): LinkedNode<Exchange> {
  exchange.queueNode ??= new LinkedNode(exchange);
  return exchange.queueNode;
}
