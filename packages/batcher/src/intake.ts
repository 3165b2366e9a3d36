import type { Job, JobGroup, Outcome } from "./job.ts";

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
  readonly onProgress: ((done: number, total: number) => void) | undefined;
  /** Enters one item, or returns undefined when there is no room now. Throws what the item is refused with. */
  submit(item: T, outcome: Outcome<R>): Job<T, R> | undefined;
  onSettled(results: PromiseSettledResult<R>[]): void;
}

/** The items of one `processBatch`: enters them as room appears and gathers their results in order. */
export class Intake<T, R> implements Waiter, JobGroup {
  readonly #init: IntakeInit<T, R>;
  readonly #results: PromiseSettledResult<R>[] = [];
  readonly #jobs = new Set<Job<T, R>>();
  #next = 0;
  #settled = 0;
  #done = 0;
  #reported = 0;
  #reporting = false;

  constructor(init: IntakeInit<T, R>) {
    this.#init = init;
    init.signal?.addEventListener("abort", this, { once: true });
  }

  admit(): boolean {
    while (this.#next < this.#init.items.length) {
      const index = this.#next;
      try {
        if (!this.#enter(index)) return false;
      } catch (error) {
        this.#next = index + 1;
        this.advance();
        this.#settle(index, { status: "rejected", reason: error }, undefined);
      }
    }
    return true;
  }

  refuse(reason: unknown): void {
    while (this.#next < this.#init.items.length) {
      const index = this.#next++;
      this.advance();
      this.#settle(index, { status: "rejected", reason }, undefined);
    }
  }

  /** The signal's listener: everything that has not settled rejects with its reason. */
  handleEvent(): void {
    const reason: unknown = this.#init.signal?.reason;
    this.refuse(reason);
    for (const job of this.#jobs) job.reject(reason, "aborted");
  }

  advance(): void {
    this.#done += 1;
    if (this.#reporting || this.#init.onProgress === undefined) return;
    this.#reporting = true;
    queueMicrotask(() => this.#report());
  }

  #enter(index: number): boolean {
    const job = this.#init.submit(this.#init.items[index] as T, {
      resolve: (value) => this.#settle(index, { status: "fulfilled", value }, job),
      reject: (reason) => this.#settle(index, { status: "rejected", reason }, job),
    });
    if (job === undefined) return false;
    this.#next = index + 1;
    job.group = this;
    this.#jobs.add(job);
    return true;
  }

  #settle(index: number, result: PromiseSettledResult<R>, job: Job<T, R> | undefined): void {
    this.#results[index] = result;
    this.#settled += 1;
    if (job !== undefined) this.#jobs.delete(job);
    if (this.#settled < this.#init.items.length) return;
    this.#init.signal?.removeEventListener("abort", this);
    this.#report();
    this.#init.onSettled(this.#results);
  }

  /** One report for all that was done in a tick. */
  #report(): void {
    this.#reporting = false;
    const total = this.#init.items.length;
    if (this.#done === this.#reported) return;
    this.#reported = this.#done;
    try {
      this.#init.onProgress?.(this.#done, total);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }
}
