import { bisect } from "./bisect.ts";
import type { CallFailure } from "./bisect.ts";
import type { BatchOutcome, BatchRecord, BatchSettings } from "./controller.ts";
import { BatchContractError, BatchItemError, BatchTimeoutError } from "./errors.ts";
import { verdicts } from "./failure.ts";
import type { Verdict } from "./failure.ts";
import type { Job } from "./job.ts";
import type { Settings, Tunables } from "./options.ts";
import { ProcessorCall } from "./processor-call.ts";
import type { ItemResult, Processor } from "./processor.ts";

/** What a run needs from the batcher it belongs to. */
export interface RunHost<T> {
  readonly settings: Settings<T>;
  readonly tunables: Tunables;
  readonly closing: boolean;
  onCall(record: BatchRecord): void;
  onFirstCall(): void;
  onTooLarge(size: number): void;
  onSplit(reason: "too-large" | "poison", size: number, batchId: number): void;
  takeRetry(): boolean;
  /** Waits before a retry; ends early when the batcher closes. */
  backOff(delayMs: number): Promise<void>;
  onRetry(retry: RetryEvent): void;
}

export interface RetryEvent {
  readonly batchId: number;
  readonly attempt: number;
  readonly size: number;
  readonly delayMs: number;
  readonly error: unknown;
}

export interface RunInit {
  readonly batchId: number;
  readonly settings: BatchSettings;
  readonly saturated: boolean;
  readonly waitMs: number;
}

/** One dispatched batch, from its first call until every job of it has settled. It keeps its slot through all of it. */
export class BatchRun<T, R> {
  readonly #host: RunHost<T>;
  readonly #processor: Processor<T, R>;
  readonly #init: RunInit;
  #calls = 0;

  constructor(host: RunHost<T>, processor: Processor<T, R>, init: RunInit) {
    this.#host = host;
    this.#processor = processor;
    this.#init = init;
  }

  async run(jobs: readonly Job<T, R>[]): Promise<void> {
    const failure = await this.#attempt(jobs);
    const left = jobs.filter(unsettled);
    if (failure === undefined || left.length === 0) return;
    if (this.#host.closing) rejectAll(left, failure.error);
    else if (failure.verdict === "too-large") await this.#split(left, failure);
    else if (failure.verdict === "poison" && this.#host.settings.idempotent)
      await this.#bisect(left, failure);
    else rejectAll(left, failure.error);
  }

  async #split(jobs: readonly Job<T, R>[], { error, size }: CallFailure): Promise<void> {
    const [first] = jobs;
    if (jobs.length === 1 && first !== undefined)
      return size === 1 ? blame(first, error) : this.run(jobs);
    this.#host.onSplit("too-large", jobs.length, this.#init.batchId);
    await this.run(jobs.slice(0, jobs.length >> 1));
    if (this.#host.closing) rejectAll(jobs, error);
    else await this.run(jobs.slice(jobs.length >> 1));
  }

  async #bisect(jobs: readonly Job<T, R>[], failure: CallFailure): Promise<void> {
    const [first] = jobs;
    if (failure.size === 1 && first !== undefined) return blame(first, failure.error);
    this.#host.onSplit("poison", jobs.length, this.#init.batchId);
    await bisect(jobs, failure, {
      attempt: (part) =>
        this.#host.closing
          ? Promise.resolve<CallFailure>({ ...failure, verdict: "fatal" })
          : this.#attempt(part),
      blame,
      giveUp: rejectAll,
    });
  }

  /** Calls the processor, again while the failure is transient and retries are allowed. */
  async #attempt(jobs: readonly Job<T, R>[]): Promise<CallFailure | undefined> {
    const { settings } = this.#host;
    for (let attempt = 1; ; attempt++) {
      const live = jobs.filter(unsettled);
      if (live.length === 0) return undefined;
      const failure = await this.#call(live);
      if (failure?.verdict !== "transient" || !settings.idempotent) return failure;
      if (attempt >= this.#host.tunables.maxAttempts || this.#host.closing) return failure;
      if (!this.#host.takeRetry()) return failure;
      const delayMs = this.#backoffMs(attempt);
      this.#host.onRetry({
        batchId: this.#init.batchId,
        attempt: this.#calls + 1,
        size: live.length,
        delayMs,
        error: failure.error,
      });
      await this.#host.backOff(delayMs);
      if (this.#host.closing) return failure;
    }
  }

  async #call(jobs: readonly Job<T, R>[]): Promise<CallFailure | undefined> {
    const { settings, tunables } = this.#host;
    this.#calls += 1;
    if (this.#calls === 1) this.#host.onFirstCall();
    const { batchId } = this.#init;
    const call = new ProcessorCall(jobs, {
      batchId,
      attempt: this.#calls,
      timeoutMs: tunables.batchTimeoutMs,
      timers: settings.timers,
    });
    const startedAtMs = settings.now();
    const answer = await call.run(this.#processor);
    const failure = answer.ok ? undefined : this.#judge(answer.error, jobs.length);
    const failed = answer.ok ? countFailed(answer.results) : jobs.length;
    if (failure?.verdict === "too-large") this.#host.onTooLarge(jobs.length);
    this.#host.onCall({
      batchId,
      attempt: this.#calls,
      size: jobs.length,
      succeeded: jobs.length - failed,
      failed,
      outcome: outcomeOf(failure, failed),
      startedAtMs,
      durationMs: settings.now() - startedAtMs,
      waitMs: this.#init.waitMs,
      saturated: this.#init.saturated,
      settings: this.#init.settings,
    });
    if (answer.ok) settleAll(jobs, answer.results);
    return failure;
  }

  #judge(error: unknown, size: number): CallFailure {
    if (error instanceof BatchContractError) return { error, size, verdict: "fatal" };
    return { error, size, verdict: verdictOf(this.#host.settings.classify, error) };
  }

  /** "Full jitter": a uniform share of an exponentially growing bound. */
  #backoffMs(attempt: number): number {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#host.tunables;
    const bound = Math.min(retryBackoffMs * 2 ** (attempt - 1), retryBackoffMaxMs);
    return Math.round(bound * this.#host.settings.random());
  }
}

function unsettled<T, R>(job: Job<T, R>): boolean {
  return job.state !== "settled";
}

function blame<T, R>(job: Job<T, R>, cause: unknown): void {
  const message = cause instanceof Error ? cause.message : String(cause);
  job.reject(new BatchItemError(`the item failed in a call of its own: ${message}`, { cause }));
}

function rejectAll<T, R>(jobs: readonly Job<T, R>[], error: unknown): void {
  for (const job of jobs) job.reject(error);
}

function verdictOf(classify: (error: unknown) => Verdict, error: unknown): Verdict {
  try {
    const verdict = classify(error);
    return verdicts.includes(verdict) ? verdict : "fatal";
  } catch {
    return "fatal";
  }
}

function outcomeOf(failure: CallFailure | undefined, failed: number): BatchOutcome {
  if (failure === undefined) return failed === 0 ? "ok" : "partial";
  if (failure.error instanceof BatchTimeoutError) return "timeout";
  return failure.verdict === "too-large" ? "too-large" : "failed";
}

function settleAll<T, R>(jobs: readonly Job<T, R>[], results: readonly ItemResult<R>[]): void {
  let index = 0;
  for (const job of jobs) {
    const result = results[index++] as ItemResult<R>;
    if (result instanceof Error) job.reject(result);
    else if (isRejected(result)) job.reject(result.reason);
    else job.fulfil(isFulfilled(result) ? result.value : result);
  }
}

function countFailed(results: readonly unknown[]): number {
  let failed = 0;
  for (const result of results) if (result instanceof Error || isRejected(result)) failed += 1;
  return failed;
}

function isFulfilled<R>(result: ItemResult<R>): result is PromiseFulfilledResult<R> {
  return statusOf(result) === "fulfilled" && "value" in Object(result);
}

function isRejected(result: unknown): result is PromiseRejectedResult {
  return statusOf(result) === "rejected" && "reason" in Object(result);
}

function statusOf(result: unknown): unknown {
  return typeof result === "object" && result !== null
    ? (result as { readonly status?: unknown }).status
    : undefined;
}
