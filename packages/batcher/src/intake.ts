import { BatchDeadlineError } from "./errors.ts";
import type { Job, JobGroup, Reject, Resolve } from "./job.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import type { Timers } from "./timers.ts";
import { callSafely } from "./warn.ts";

/** Something that waits for room in the queue. */
export interface Waiter {
  /** Enters what fits now; true when there is nothing left to enter. */
  admit(): boolean;
  /** Gives up on what has not been entered. */
  refuse(reason: unknown): void;
}

export interface IntakeInit<T, R> {
  readonly items: readonly T[];
  readonly signal: AbortSignal | undefined;
  /** For all of them, from now, waiting for room included. */
  readonly deadlineMs: number | undefined;
  readonly timers: Timers;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
  /** Enters one item, or returns undefined when there is no room now. Throws what the item is refused with. */
  submit(item: T, resolve: Resolve<T, R>, reject: Reject<T, R>): Job<T, R> | undefined;
  onSettled(results: PromiseSettledResult<R>[]): void;
}

/** The items of one `processBatch`: enters them as room appears and gathers their results in order. */
export class Intake<T, R> implements Waiter, JobGroup {
  readonly #init: IntakeInit<T, R>;
  readonly #results: PromiseSettledResult<R>[];
  /** Only kept where a signal or a deadline may want them. */
  readonly #jobs: Job<T, R>[] = [];
  #next = 0;
  #settled = 0;
  #done = 0;
  #reported = 0;
  #reporting = false;
  #timer: unknown = undefined;

  constructor(init: IntakeInit<T, R>) {
    this.#init = init;
    this.#results = Array.from({ length: init.items.length });
    if (init.signal !== undefined) watchSignal(init.signal, this);
    if (init.deadlineMs !== undefined)
      this.#timer = init.timers.set(
        () => this.#expire(init.deadlineMs ?? 0),
        init.deadlineMs,
        true,
      );
  }

  admit(): boolean {
    const { items } = this.#init;
    while (this.#next < items.length) {
      const index = this.#next;
      try {
        if (!this.#enter(index)) return false;
      } catch (error) {
        this.#next = index + 1;
        this.#refuse(index, error);
      }
    }
    return true;
  }

  refuse(reason: unknown): void {
    while (this.#next < this.#init.items.length) this.#refuse(this.#next++, reason);
  }

  /** Everything that has not settled rejects with the signal's reason. */
  onAbort({ reason }: AbortSignal): void {
    this.refuse(reason);
    for (const job of this.#jobs) job.reject(reason, "aborted");
  }

  advance(): void {
    this.#done += 1;
    if (this.#reporting || this.#init.onProgress === undefined) return;
    this.#reporting = true;
    queueMicrotask(() => this.#report());
  }

  #expire(deadlineMs: number): void {
    this.refuse(new BatchDeadlineError(deadlineMs, false));
    for (const job of this.#jobs) job.expire();
  }

  #enter(index: number): boolean {
    const { deadlineMs, items, onProgress, signal } = this.#init;
    const job = this.#init.submit(items[index] as T, this.#resolve, this.#reject);
    if (job === undefined) return false;
    this.#next = index + 1;
    job.index = index;
    if (onProgress !== undefined) job.group = this;
    if (signal !== undefined || deadlineMs !== undefined) this.#jobs.push(job);
    return true;
  }

  #refuse(index: number, reason: unknown): void {
    this.advance();
    this.#settle(index, { status: "rejected", reason });
  }

  readonly #resolve = (value: R, { index }: Job<T, R>): void =>
    this.#settle(index, { status: "fulfilled", value });

  readonly #reject = (reason: unknown, { index }: Job<T, R>): void =>
    this.#settle(index, { status: "rejected", reason });

  #settle(index: number, result: PromiseSettledResult<R>): void {
    this.#results[index] = result;
    this.#settled += 1;
    if (this.#settled < this.#init.items.length) return;
    const { deadlineMs, signal, timers } = this.#init;
    if (signal !== undefined) unwatchSignal(signal, this);
    if (deadlineMs !== undefined) timers.clear(this.#timer);
    this.#report();
    this.#init.onSettled(this.#results);
  }

  /** One report for all that was done in a tick. */
  #report(): void {
    this.#reporting = false;
    const total = this.#init.items.length;
    if (this.#done === this.#reported) return;
    this.#reported = this.#done;
    callSafely(() => this.#init.onProgress?.(this.#done, total));
  }
}
