import { QueueFullError } from "./errors.ts";
import { LinkedQueue } from "./linked-queue.ts";
import type { LinkedNode } from "./linked-queue.ts";
import type { Schedule } from "./schedule.ts";
import { onAbort } from "./signal-listeners.ts";
import { TurnTable } from "./turn-table.ts";

/**
 * Whose budget refuses. `headroom`: the guard is so full that only sessions which hold memory or are at
 * work may take more.
 */
export type Refusal = "session" | "principal" | "guard" | "headroom";

/** A session's account as the queue sees it. */
export interface QueuedAccount {
  readonly id: string;
  /** Accounts with the same one share their turns: a principal, or the account itself. */
  readonly turnKey: unknown;
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
 * Reservations that wait for room. First in, first out within a session; principals take turns, and so
 * do the sessions of one; the one at the head is not overtaken by a smaller one. Who waits for its own
 * session's or principal's room stands in nobody else's way.
 */
export class ReserveQueue {
  readonly #limit: number;
  readonly #schedule: Schedule;
  readonly #waiting = new Map<QueuedAccount, LinkedQueue<Waiter>>();
  /** Sessions whose first waiter fits their own limit. */
  readonly #turns = new TurnTable<QueuedAccount>();
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
    if (this.#size === 0) return false;
    return this.#waiting.has(account) || this.#turns.mustWait(account.turnKey);
  }

  /** @throws QueueFullError when `account` already has as many waiters as it may have */
  async wait(account: QueuedAccount, options: WaitOptions): Promise<void> {
    const { bytes, timeoutMs, signal } = options;
    if ((this.#waiting.get(account)?.size ?? 0) >= this.#limit)
      throw new QueueFullError(`memory of session ${account.id}`, this.#limit);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const node = this.#join(account, { bytes, resolve, reject });
    const cancelTimeout = this.#schedule(() => {
      this.#abandon(account, node, account.exceeded(account.refusal(bytes) ?? "guard", bytes));
    }, timeoutMs);
    const unfollow = onAbort(signal, () => {
      this.#abandon(account, node, signal?.reason);
    });
    this.serve(account);
    try {
      await promise;
    } finally {
      cancelTimeout();
      unfollow();
    }
  }

  /** Lets in whoever fits, after `account` gave bytes back, took some or changed what it waits for. */
  serve(account: QueuedAccount): void {
    if (this.#size === 0) return;
    this.#consider(account);
    this.#turns.unpark(account.turnKey);
    for (const turn of this.#turns) {
      for (const next of turn.accounts) {
        const outcome = this.#offer(next);
        if (outcome === "guard") return;
        if (outcome === "principal") this.#turns.park(turn);
        if (outcome === "principal" || outcome === "granted") break;
      }
    }
  }

  /** Rejects everything `account` waits for. */
  close(account: QueuedAccount, reason: () => Error): void {
    this.#turns.delete(account.turnKey, account);
    for (const node of this.#waiting.get(account) ?? []) {
      this.#leave(account, node);
      node.value.reject(reason());
    }
  }

  /** Grants the first of `account`, whose turn it is then over, or says what stands in the way. */
  #offer(account: QueuedAccount): Refusal | "granted" {
    const waiter = this.#waiting.get(account)?.first;
    const refusal = waiter === undefined ? "session" : account.refusal(waiter.value.bytes);
    if (refusal === "session") this.#turns.delete(account.turnKey, account);
    if (refusal !== undefined || waiter === undefined) return refusal ?? "session";
    this.#turns.delete(account.turnKey, account);
    this.#leave(account, waiter);
    account.take(waiter.value.bytes);
    waiter.value.resolve();
    this.#consider(account);
    this.#turns.endTurn(account.turnKey);
    return "granted";
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
    if (waiter === undefined) this.#turns.delete(account.turnKey, account);
    else if (account.refusal(waiter.value.bytes) !== "session")
      this.#turns.add(account.turnKey, account);
  }
}
