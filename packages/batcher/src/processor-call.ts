import { BatchContractError, BatcherError, BatchTimeoutError } from "./errors.ts";
import type { Job, JobCall } from "./job.ts";
import type { ItemResult, Processor } from "./processor.ts";
import type { Timers } from "./timers.ts";

export type CallAnswer<R> =
  | { readonly ok: true; readonly results: readonly ItemResult<R>[] }
  | { readonly ok: false; readonly error: unknown };

export interface CallInit {
  readonly batchId: number;
  readonly attempt: number;
  readonly timeoutMs: number;
  readonly timers: Timers;
}

/** One call of a processor: always answers, within the timeout, and never throws. */
export class ProcessorCall<T, R> implements JobCall {
  readonly #jobs: readonly Job<T, R>[];
  readonly #init: CallInit;
  readonly #abort = new AbortController();
  #waiting: number;
  #reported = 0;
  #over = false;

  constructor(jobs: readonly Job<T, R>[], init: CallInit) {
    this.#jobs = jobs;
    this.#init = init;
    this.#waiting = jobs.length;
    for (const job of jobs) job.call = this;
  }

  run(processor: Processor<T, R>): Promise<CallAnswer<R>> {
    const { timers, timeoutMs } = this.#init;
    const size = this.#jobs.length;
    return new Promise((resolve) => {
      const end = (answer: CallAnswer<R>): void => {
        if (this.#over) return;
        this.#over = true;
        timers.clear(timer);
        for (const job of this.#jobs) job.call = undefined;
        resolve(answer);
      };
      const timer = timers.set(
        () => {
          const error = new BatchTimeoutError(size, timeoutMs);
          end({ ok: false, error });
          this.#abort.abort(error);
        },
        timeoutMs,
        false,
      );
      void this.#answer(processor).then(end);
    });
  }

  /** Called when a job of this call settled before its answer came. */
  onAbandoned(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#abort.abort(
      new BatcherError("BATCHER_ABANDONED", "nobody waits for any item of this batch any more"),
    );
  }

  async #answer(processor: Processor<T, R>): Promise<CallAnswer<R>> {
    const size = this.#jobs.length;
    try {
      const results: unknown = await processor(
        this.#jobs.map(({ item }) => item),
        {
          signal: this.#abort.signal,
          batchId: this.#init.batchId,
          attempt: this.#init.attempt,
          progress: (done) => this.#progress(done),
        },
      );
      return Array.isArray(results) && results.length === size
        ? { ok: true, results: results as ItemResult<R>[] }
        : { ok: false, error: new BatchContractError(size, results) };
    } catch (error) {
      return { ok: false, error };
    }
  }

  #progress(done: number): void {
    if (this.#over || !(done > this.#reported)) return;
    for (const job of this.#jobs.slice(this.#reported, done)) job.advance();
    this.#reported = Math.min(Math.floor(done), this.#jobs.length);
  }
}
