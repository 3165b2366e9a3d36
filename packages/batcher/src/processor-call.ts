import { BatchContractError, BatcherError, BatchTimeoutError } from "./errors.ts";
import type { Job, JobPlace } from "./job.ts";
import type { CallContext } from "./nesting.ts";
import type { Processor, ProcessorContext } from "./processor.ts";
import { checkResults, silence } from "./results.ts";
import type { CheckedResults, Matches } from "./results.ts";
import type { Timers } from "./timers.ts";

export type CallAnswer =
  | { readonly ok: true; readonly results: CheckedResults }
  | { readonly ok: false; readonly error: unknown };

export interface CallInit<T, R> {
  readonly batchId: number;
  readonly attempt: number;
  readonly timeoutMs: number;
  readonly timers: Timers;
  readonly context: CallContext;
  readonly matches: Matches<T, R> | undefined;
}

/** One call of a processor: always answers, within the timeout, and never throws. */
export class ProcessorCall<T, R> implements JobPlace<T, R>, ProcessorContext {
  readonly batchId: number;
  readonly attempt: number;
  readonly #jobs: readonly Job<T, R>[];
  readonly #init: CallInit<T, R>;
  #abort: AbortController | undefined = undefined;
  #waiting: number;
  #reported = 0;
  #over = false;
  #end: (answer: CallAnswer) => void = () => undefined;
  #timer: unknown = undefined;

  constructor(jobs: readonly Job<T, R>[], init: CallInit<T, R>) {
    this.#jobs = jobs;
    this.#init = init;
    this.batchId = init.batchId;
    this.attempt = init.attempt;
    this.#waiting = jobs.length;
    for (const job of jobs) job.place = this;
  }

  /** Made when it is asked for. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** Bound, so that a processor may take it out of its context. */
  get progress(): (done: number) => void {
    return (done) => this.#progress(done);
  }

  run(processor: Processor<T, R>): Promise<CallAnswer> {
    const { context, timers, timeoutMs } = this.#init;
    return new Promise((resolve) => {
      this.#end = resolve;
      this.#timer = timers.set(this.#onTimeout, timeoutMs, true);
      void context.run(() => this.#answer(processor));
    });
  }

  /** A job of this call settled before its answer came. */
  leave(): void {
    if (this.#over) return;
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#stop(
      new BatcherError("BATCHER_ABANDONED", "nobody waits for any item of this batch any more"),
    );
  }

  async #answer(processor: Processor<T, R>): Promise<void> {
    try {
      const items = this.#jobs.map(({ item }) => item);
      const results: unknown = await processor(items, this);
      if (this.#over) silence(results);
      else this.#finish(this.#check(results));
    } catch (error) {
      this.#finish({ ok: false, error: this.#legible(error) });
    }
  }

  #check(results: unknown): CallAnswer {
    const { length } = this.#jobs;
    try {
      return { ok: true, results: checkResults(this.#jobs, results, this.#init.matches) };
    } catch (cause) {
      silence(results);
      const error =
        cause instanceof BatchContractError
          ? cause
          : new BatchContractError(length, "results that throw when they are read", { cause });
      return { ok: false, error };
    }
  }

  /** What throws when it is looked at (a revoked proxy) is not passed on as it is. */
  #legible(error: unknown): unknown {
    try {
      void (error instanceof Error);
      return error;
    } catch {
      const received = "an error that throws when it is read";
      return new BatchContractError(this.#jobs.length, received, { cause: error });
    }
  }

  readonly #onTimeout = (): void => {
    const error = new BatchTimeoutError(this.#jobs.length, this.#init.timeoutMs);
    this.#finish({ ok: false, error });
    this.#stop(error);
  };

  #finish(answer: CallAnswer): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.timers.clear(this.#timer);
    this.#init.context.end();
    this.#end(answer);
  }

  #stop(reason: BatcherError): void {
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }

  #progress(done: number): void {
    if (this.#over || !(done > this.#reported)) return;
    for (const job of this.#jobs.slice(this.#reported, done)) job.advance();
    this.#reported = Math.min(Math.floor(done), this.#jobs.length);
  }
}
