import { setImmediate } from "node:timers/promises";
import { RETRY_AFTER_MS, storeBusy, storeClosed } from "../errors.ts";
import { backoffMs, MAX_BACKOFF_MS, MAX_LOCK_WAIT_MS, type Clock } from "./lock-wait.ts";
import { isBusy } from "./result-codes.ts";

/** Writes that may wait for another process at a time; the next ones are refused at once. */
const MAX_WAITING = 1_000;

interface Write {
  /** Runs the transaction and resolves the caller's promise; throws what the transaction throws. */
  readonly run: () => void;
  readonly reject: (error: unknown) => void;
  readonly deadlineMs: number;
}

/**
 * Runs write transactions in the order in which they came. While another process holds the write lock they wait together,
 * without blocking the event loop, and no longer than {@link MAX_LOCK_WAIT_MS}: a transaction that finds the database locked
 * for that long already, whoever found it so, is tried once more at most and then refused.
 */
export class WriteQueue {
  readonly #transaction: <T>(work: () => T) => T;
  readonly #clock: Clock;
  #waiting: Write[] = [];
  #lockedSinceMs: number | undefined;
  #lastBusyMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** `transaction` must have undone everything when it throws. */
  constructor(transaction: <T>(work: () => T) => T, clock: Clock) {
    this.#transaction = transaction;
    this.#clock = clock;
  }

  /**
   * Runs `work` in a transaction, before this returns when nothing stands in its way.
   * @throws StoreBusyError when another process holds the database; nothing was written
   * @throws McpAccelError `STORE_CLOSED`, and what `work` throws
   */
  run<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#take({
        run: () => resolve(this.#transaction(work)),
        reject,
        deadlineMs: this.#clock.now() + MAX_LOCK_WAIT_MS,
      });
    });
  }

  /** Refuses what waits and what comes. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(storeClosed());
  }

  #take(write: Write): void {
    if (this.#closed) return write.reject(storeClosed());
    if (this.#waiting.length >= MAX_WAITING) return write.reject(storeBusy());
    if (this.#waiting.length > 0) return void this.#waiting.push(write);
    if (this.#justTriedInVain()) return write.reject(storeBusy());
    if (this.#attempt(write)) return;
    if (this.#lockedTooLong()) return write.reject(storeBusy());
    this.#waiting.push(write);
    void this.#drain();
  }

  /** False when the database is locked; otherwise the write has settled. */
  #attempt(write: Write): boolean {
    try {
      write.run();
    } catch (error) {
      if (isBusy(error)) {
        this.#foundLocked();
        return false;
      }
      write.reject(error);
    }
    this.#lockedSinceMs = undefined;
    return true;
  }

  #foundLocked(): void {
    const now = this.#clock.now();
    if (now - this.#lastBusyMs > RETRY_AFTER_MS) this.#lockedSinceMs = undefined;
    this.#lockedSinceMs ??= now;
    this.#lastBusyMs = now;
  }

  async #drain(): Promise<void> {
    for (let attempt = 0; this.#waiting.length > 0;) {
      if (attempt === 0 && this.#lockedSinceMs === undefined) await setImmediate();
      else await this.#clock.wait(backoffMs(attempt, this.#clock.random()));
      const [first] = this.#waiting;
      if (first === undefined) return;
      if (this.#attempt(first)) {
        this.#waiting.shift();
        attempt = 0;
      } else {
        attempt += 1;
        this.#refuseTheLate();
      }
    }
  }

  #refuseTheLate(): void {
    const now = this.#clock.now();
    const lockedTooLong = this.#lockedTooLong();
    const all = this.#waiting.splice(0);
    for (const write of all) {
      if (lockedTooLong || write.deadlineMs <= now) write.reject(storeBusy());
      else this.#waiting.push(write);
    }
  }

  #lockedTooLong(): boolean {
    const since = this.#lockedSinceMs;
    return since !== undefined && this.#clock.now() - since >= MAX_LOCK_WAIT_MS;
  }

  /** After a wait in vain a flood of writes costs one attempt in {@link MAX_BACKOFF_MS}. */
  #justTriedInVain(): boolean {
    return this.#lockedTooLong() && this.#clock.now() - this.#lastBusyMs < MAX_BACKOFF_MS;
  }
}
