import type { AddOptions } from "./add-options.ts";
import { BatchDeadlineError } from "./errors.ts";
import type { Job, JobShare } from "./job.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import type { Timers } from "./timers.ts";

export interface SharedJobsInit {
  readonly now: () => number;
  readonly timers: Timers;
  windowMs(): number;
}

/** Items under way by their `dedupeKey`, and the results of those that ended well not long ago. */
export class SharedJobs<T, R> {
  readonly #init: SharedJobsInit;
  readonly #open = new Map<string, SharedJob<T, R>>();
  readonly #kept: KeptAnswers<R>;

  constructor(init: SharedJobsInit) {
    this.#init = init;
    this.#kept = new KeptAnswers(init);
  }

  /** The result of an item of that key which ended well within the window. */
  kept(key: string): { readonly value: R } | undefined {
    return this.#kept.get(key);
  }

  /** Frees what is past the window, which may have changed. */
  prune(): void {
    this.#kept.prune();
  }

  /** Frees everything that is kept. */
  clear(): void {
    this.#kept.clear();
  }

  find(key: string): SharedJob<T, R> | undefined {
    return this.#open.get(key);
  }

  create(key: string): SharedJob<T, R> {
    return new SharedJob<T, R>(this.#init, (ended) => {
      this.#open.delete(key);
      if (ended !== undefined) this.#kept.keep(key, ended.value);
    });
  }

  open(key: string, shared: SharedJob<T, R>): void {
    this.#open.set(key, shared);
  }
}

/** One job and those who wait for it. Each of them may leave; the job is dropped when the last has left. */
export class SharedJob<T, R> implements JobShare {
  job: Job<T, R> | undefined = undefined;
  readonly #init: SharedJobsInit;
  readonly #onOver: (ended: { readonly value: R } | undefined) => void;
  readonly #waiting = new Set<SharedWait<R>>();

  constructor(init: SharedJobsInit, onOver: (ended: { readonly value: R } | undefined) => void) {
    this.#init = init;
    this.#onOver = onOver;
  }

  readonly resolve = (value: R): void => {
    this.#onOver({ value });
    for (const wait of this.#waiting) wait.resolve(value);
    this.#waiting.clear();
  };

  readonly reject = (reason: unknown): void => {
    this.#onOver(undefined);
    for (const wait of this.#waiting) wait.reject(reason);
    this.#waiting.clear();
  };

  join(resolve: (value: R) => void, reject: (reason: unknown) => void, options: AddOptions): void {
    const { now, timers } = this.#init;
    const deadlineMs = options.deadlineMs ?? Infinity;
    const wait = new SharedWait<R>(resolve, reject, deadlineMs, now() + deadlineMs, (how) =>
      this.#leave(wait, how),
    );
    this.#waiting.add(wait);
    wait.watch(timers, options.signal);
  }

  expireBy(at: number, dispatched: boolean): void {
    for (const wait of this.#waiting)
      if (wait.deadlineAt <= at) this.#leave(wait, "expired", dispatched);
  }

  #leave(
    wait: SharedWait<R>,
    how: "aborted" | "expired",
    dispatched: boolean = this.job?.state === "running",
  ): void {
    if (!this.#waiting.delete(wait)) return;
    const reason = wait.reasonFor(how, dispatched);
    wait.reject(reason);
    if (this.#waiting.size === 0) this.job?.reject(reason, how);
  }
}

class SharedWait<R> {
  readonly deadlineAt: number;
  readonly #resolve: (value: R) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #deadlineMs: number;
  readonly #leave: (how: "aborted" | "expired") => void;
  #signal: AbortSignal | undefined = undefined;
  #timers: Timers | undefined = undefined;
  #timer: unknown = undefined;

  constructor(
    resolve: (value: R) => void,
    reject: (reason: unknown) => void,
    deadlineMs: number,
    deadlineAt: number,
    leave: (how: "aborted" | "expired") => void,
  ) {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#deadlineMs = deadlineMs;
    this.deadlineAt = deadlineAt;
    this.#leave = leave;
  }

  watch(timers: Timers, signal: AbortSignal | undefined): void {
    this.#signal = signal;
    if (signal !== undefined) watchSignal(signal, this);
    if (this.#deadlineMs === Infinity) return;
    this.#timers = timers;
    this.#timer = timers.set(() => this.#leave("expired"), this.#deadlineMs, true);
  }

  onAbort(): void {
    this.#leave("aborted");
  }

  reasonFor(how: "aborted" | "expired", dispatched: boolean): unknown {
    return how === "aborted"
      ? this.#signal?.reason
      : new BatchDeadlineError(this.#deadlineMs, dispatched);
  }

  resolve(value: R): void {
    this.#release();
    this.#resolve(value);
  }

  reject(reason: unknown): void {
    this.#release();
    this.#reject(reason);
  }

  #release(): void {
    if (this.#signal !== undefined) unwatchSignal(this.#signal, this);
    this.#timers?.clear(this.#timer);
  }
}
