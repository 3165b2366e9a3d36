import { QueueFullError } from "./errors.ts";
import { LinkedQueue } from "./linked-queue.ts";
import type { LinkedNode } from "./linked-queue.ts";
import type { Schedule } from "./schedule.ts";

/** `headroom`: the guard is so full that only sessions which already hold memory may take more. */
export type Refusal = "session" | "guard" | "headroom";

/** A session's account as the queue sees it. */
export interface QueuedAccount {
  readonly id: string;
  /** Whose budget refuses `bytes` now; undefined when they fit. */
  refusal(bytes: number): Refusal | undefined;
  take(bytes: number): void;
  /** The error, and the report, of a reservation that came to nothing. */
  exceeded(refusal: Refusal, bytes: number): Error;
}

export interface WaitOptions {
  readonly bytes: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly bytes: number;
  resolve(): void;
  reject(reason: unknown): void;
}

/**
 * Reservations that wait for room. First in, first out within a session; sessions that wait for the
 * guard's total take turns, and the one at the head is not overtaken by a smaller one.
 */
export class ReserveQueue {
  readonly #limit: number;
  readonly #schedule: Schedule;
  readonly #waiting = new Map<QueuedAccount, LinkedQueue<Waiter>>();
  /** Sessions whose first waiter fits their own limit, but not the guard's. */
  readonly #blocked = new Set<QueuedAccount>();
  #size = 0;

  constructor(limit: number, schedule: Schedule) {
    this.#limit = limit;
    this.#schedule = schedule;
  }

  get size(): number {
    return this.#size;
  }

  /** True when a reservation that is ready to wait must queue behind earlier ones. */
  mustWait(account: QueuedAccount): boolean {
    return this.#blocked.size > 0 || this.#waiting.has(account);
  }

  /** @throws QueueFullError when `account` already has as many waiters as it may have */
  async wait(account: QueuedAccount, options: WaitOptions): Promise<void> {
    const { bytes, timeoutMs, signal } = options;
    if ((this.#waiting.get(account)?.size ?? 0) >= this.#limit)
      throw new QueueFullError(`memory of session ${account.id}`, this.#limit);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const node = this.#join(account, { bytes, resolve, reject });
    const onAbort = (): void => {
      this.#abandon(account, node, signal?.reason);
    };
    const cancelTimeout = this.#schedule(() => {
      this.#abandon(account, node, account.exceeded(account.refusal(bytes) ?? "guard", bytes));
    }, timeoutMs);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.serve(account);
    try {
      await promise;
    } finally {
      cancelTimeout();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Lets in whoever fits, after `account` gave bytes back. */
  serve(account: QueuedAccount): void {
    if (this.#size === 0) return;
    this.#consider(account);
    for (const next of this.#blocked) {
      const waiter = this.#waiting.get(next)?.first;
      const refusal = waiter === undefined ? "session" : next.refusal(waiter.value.bytes);
      if (refusal === "guard") return;
      if (refusal === "headroom") continue;
      this.#blocked.delete(next);
      if (waiter === undefined || refusal === "session") continue;
      this.#leave(next, waiter);
      next.take(waiter.value.bytes);
      waiter.value.resolve();
      this.#consider(next);
    }
  }

  /** Rejects everything `account` waits for. */
  close(account: QueuedAccount, reason: () => Error): void {
    this.#blocked.delete(account);
    for (const node of this.#waiting.get(account) ?? []) {
      this.#leave(account, node);
      node.value.reject(reason());
    }
  }

  #abandon(account: QueuedAccount, node: LinkedNode<Waiter>, reason: unknown): void {
    this.#leave(account, node);
    node.value.reject(reason);
    this.serve(account);
  }

  #join(account: QueuedAccount, waiter: Waiter): LinkedNode<Waiter> {
    let queue = this.#waiting.get(account);
    if (queue === undefined) {
      queue = new LinkedQueue();
      this.#waiting.set(account, queue);
    }
    this.#size += 1;
    return queue.push(waiter);
  }

  #leave(account: QueuedAccount, node: LinkedNode<Waiter>): void {
    const queue = this.#waiting.get(account);
    if (queue === undefined || !queue.remove(node)) return;
    this.#size -= 1;
    if (queue.size === 0) this.#waiting.delete(account);
  }

  #consider(account: QueuedAccount): void {
    const waiter = this.#waiting.get(account)?.first;
    if (waiter === undefined) this.#blocked.delete(account);
    else if (account.refusal(waiter.value.bytes) !== "session") this.#blocked.add(account);
  }
}
