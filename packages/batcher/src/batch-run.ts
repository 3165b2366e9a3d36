import { bisect } from "./bisect.ts";
import type { CallFailure } from "./bisect.ts";
import type { BatchOutcome, BatchRecord, BatchSettings } from "./controller.ts";
import { BatchContractError, BatchItemError, BatchTimeoutError } from "./errors.ts";
import { verdicts } from "./failure.ts";
import type { Verdict } from "./failure.ts";
import type { Job } from "./job.ts";
import { CallContext } from "./nesting.ts";
import type { Settings, Tunables } from "./options.ts";
import { ProcessorCall } from "./processor-call.ts";
import type { CallAnswer } from "./processor-call.ts";
import type { Processor } from "./processor.ts";
import { settleAll } from "./results.ts";
import { retryAfterMsOf } from "./retry-after.ts";
import { sizeHintOf } from "./size-hint.ts";
import { textOf } from "./warn.ts";

/** What a run needs from the batcher it belongs to. */
export interface RunHost<T, R> {
  readonly settings: Settings<T, R>;
  readonly tunables: Tunables;
  readonly closing: boolean;
  onCall(record: BatchRecord, processor: Processor<T, R>): void;
  onFirstCall(): void;
  /** A further call for the batch. */
  onNextCall(settings: BatchSettings): void;
  onTooLarge(size: number, error: unknown): void;
  /** The first call of a full batch failed, for its items or for its size. */
  onSuspicion(size: number): void;
  /** The processor's server asks to be left alone for a while. */
  onHint(processor: Processor<T, R>, delayMs: number): void;
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
  readonly #host: RunHost<T, R>;
  readonly #processor: Processor<T, R>;
  readonly #init: RunInit;
  #calls = 0;

  constructor(host: RunHost<T, R>, processor: Processor<T, R>, init: RunInit) {
    this.#host = host;
    this.#processor = processor;
    this.#init = init;
  }

  /** True when an item that is too large on its own was among them. */
  async run(jobs: readonly Job<T, R>[]): Promise<boolean> {
    const failure = await this.#attempt(jobs);
    const whole = this.#init.saturated && this.#calls === 1;
    const left = jobs.filter(unsettled);
    if (failure === undefined || left.length === 0) return false;
    const { verdict } = failure;
    const { closing, settings } = this.#host;
    if (verdict === "too-large" && !closing) return this.#split(left, failure);
    if (verdict !== "poison" || !settings.idempotent || closing) {
      if (verdict === "poison" && whole) this.#host.onSuspicion(failure.size);
      rejectAll(left, failure.error);
      return false;
    }
    const explained = await this.#bisect(left, failure);
    if (!explained && whole) this.#host.onSuspicion(failure.size);
    return false;
  }

  /** What an item alone is too large for says nothing about the sizes of batches, so nobody is told before that is known. */
  async #split(jobs: readonly Job<T, R>[], { error, size }: CallFailure): Promise<boolean> {
    const [first] = jobs;
    if (jobs.length === 1 && first !== undefined) {
      if (size > 1) return this.run(jobs);
      blame(first, error);
      return true;
    }
    this.#host.onSplit("too-large", jobs.length, this.#init.batchId);
    const one = await this.run(jobs.slice(0, jobs.length >> 1));
    if (this.#host.closing) {
      rejectAll(jobs, error);
      return true;
    }
    const other = await this.run(jobs.slice(jobs.length >> 1));
    const explained = one || other;
    if (!explained && sizeHintOf(error, size) === undefined) this.#host.onTooLarge(size, error);
    return explained;
  }

  /** False when all that failed together passed in parts. */
  async #bisect(jobs: readonly Job<T, R>[], failure: CallFailure): Promise<boolean> {
    const [first] = jobs;
    if (failure.size === 1 && first !== undefined) {
      blame(first, failure.error);
      return true;
    }
    let explained = false;
    this.#host.onSplit("poison", jobs.length, this.#init.batchId);
    await bisect(jobs, failure, {
      attempt: (part) =>
        this.#host.closing
          ? Promise.resolve<CallFailure>({ ...failure, verdict: "fatal" })
          : this.#attempt(part),
      blame(job, error) {
        explained = true;
        blame(job, error);
      },
      giveUp(rest, error) {
        explained = true;
        rejectAll(rest, error);
      },
    });
    return explained;
  }

  /** Calls the processor, again while the failure is transient and retries are allowed. */
  async #attempt(jobs: readonly Job<T, R>[]): Promise<CallFailure | undefined> {
    const { settings } = this.#host;
    for (let attempt = 1; ; attempt++) {
      const live = jobs.every(unsettled) ? jobs : jobs.filter(unsettled);
      if (live.length === 0) return undefined;
      const failure = await this.#call(live);
      if (failure?.verdict !== "transient" || !settings.idempotent) return failure;
      if (attempt >= this.#host.tunables.maxAttempts || this.#host.closing) return failure;
      const delayMs = this.#backoffMs(attempt, failure.error);
      if (delayMs === undefined || !this.#host.takeRetry()) return failure;
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

  #call(jobs: readonly Job<T, R>[]): Promise<CallFailure | undefined> {
    const { settings, tunables } = this.#host;
    this.#calls += 1;
    if (this.#calls === 1) this.#host.onFirstCall();
    else this.#host.onNextCall(this.#init.settings);
    const call = new ProcessorCall(jobs, {
      batchId: this.#init.batchId,
      attempt: this.#calls,
      timeoutMs: tunables.batchTimeoutMs,
      timers: settings.timers,
      context: new CallContext(this.#host, contextsOf(jobs)),
      matches: settings.matches,
    });
    const startedAtMs = settings.now();
    return call.run(this.#processor).then((answer) => this.#onAnswer(jobs, answer, startedAtMs));
  }

  #onAnswer(
    jobs: readonly Job<T, R>[],
    answer: CallAnswer,
    startedAtMs: number,
  ): CallFailure | undefined {
    const failure = answer.ok ? undefined : this.#judge(answer.error, jobs.length);
    const failed = answer.ok ? (answer.results.failures?.size ?? 0) : jobs.length;
    if (failure !== undefined) this.#heed(failure);
    const record: BatchRecord = {
      batchId: this.#init.batchId,
      attempt: this.#calls,
      size: jobs.length,
      succeeded: jobs.length - failed,
      failed,
      outcome: outcomeOf(failure, failed),
      startedAtMs,
      durationMs: this.#host.settings.now() - startedAtMs,
      waitMs: this.#init.waitMs,
      saturated: this.#init.saturated,
      settings: this.#init.settings,
    };
    this.#host.onCall(record, this.#processor);
    if (answer.ok) settleAll(jobs, answer.results);
    return failure;
  }

  /** What a server says of itself counts at once. */
  #heed({ error, size, verdict }: CallFailure): void {
    if (verdict === "too-large" && sizeHintOf(error, size) !== undefined)
      this.#host.onTooLarge(size, error);
    const delayMs = verdict === "transient" ? (retryAfterMsOf(error) ?? 0) : 0;
    if (delayMs > 0) this.#host.onHint(this.#processor, delayMs);
  }

  #judge(error: unknown, size: number): CallFailure {
    if (error instanceof BatchContractError) return { error, size, verdict: "fatal" };
    return { error, size, verdict: verdictOf(this.#host.settings.classify, error) };
  }

  /**
   * "Full jitter": a uniform share of an exponentially growing bound, but no less than the server asks for. `undefined` when
   * it asks for more than `retryBackoffMaxMs`: to wait so long is the caller's decision.
   */
  #backoffMs(attempt: number, error: unknown): number | undefined {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#host.tunables;
    const bound = Math.min(retryBackoffMs * 2 ** (attempt - 1), retryBackoffMaxMs);
    const share = this.#host.settings.random();
    const jittered = Math.round(bound * (share >= 0 && share <= 1 ? share : 1));
    const asked = retryAfterMsOf(error) ?? 0;
    return asked > retryBackoffMaxMs ? undefined : Math.max(jittered, asked);
  }
}

function unsettled<T, R>(job: Job<T, R>): boolean {
  return job.state !== "settled";
}

function blame<T, R>(job: Job<T, R>, cause: unknown): void {
  const message = `the item failed in a call of its own: ${textOf(cause)}`;
  job.reject(new BatchItemError(message, { cause }));
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

function contextsOf<T, R>(jobs: readonly Job<T, R>[]): Set<CallContext> | undefined {
  let contexts: Set<CallContext> | undefined;
  for (const { context } of jobs) if (context !== undefined) (contexts ??= new Set()).add(context);
  return contexts;
}
