import { BatchDeadlineError } from "./errors.ts";
import type { CallContext } from "./nesting.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import type { SignalWatcher } from "./signal-watch.ts";
import type { Timers } from "./timers.ts";

/** How an accepted item ended. */
export type Settlement = "fulfilled" | "rejected" | "aborted" | "expired" | "closed";

export interface JobHost<T, R> {
  onSettled(job: Job<T, R>, how: Settlement, from: "queued" | "running"): void;
}

/** Where the answer goes. The job comes along, so that one function may serve many jobs. */
export type Resolve<T, R> = (value: R, job: Job<T, R>) => void;
export type Reject<T, R> = (reason: unknown, job: Job<T, R>) => void;

/** When items arrived, and where: one for all that is added in a tick. */
export interface Arrival<T, R> {
  readonly at: number;
  readonly host: JobHost<T, R>;
}

/** What a job waits in or runs in: a bucket of the queue, then a call. */
export interface JobPlace<T, R> {
  /** Told when the job settled on its own, before its answer came. */
  leave(job: Job<T, R>): void;
}

/** Whose progress a job's completion advances. */
export interface JobGroup {
  advance(): void;
}

/** Several callers that wait for one job. */
export interface JobShare {
  /** Lets those go whose deadline is not later than that. */
  expireBy(at: number, dispatched: boolean): void;
}

/**
 * One accepted item. It settles exactly once, whoever comes first: its result, its signal, its deadline or the end.
 * One is made for every item, so it holds no more than every item has; the rest is in its terms.
 */
export class Job<T, R> {
  readonly item: T;
  readonly arrival: Arrival<T, R>;
  readonly priority: number;
  terms: JobTerms | undefined;
  state: "queued" | "running" | "settled" = "queued";
  /** Owned by the queue while queued, by the call while running. */
  place: JobPlace<T, R> | undefined = undefined;
  position = 0;
  /** The place of the item in what it was submitted with. */
  index = 0;
  readonly #resolve: Resolve<T, R>;
  readonly #reject: Reject<T, R>;

  constructor(
    item: T,
    arrival: Arrival<T, R>,
    priority: number,
    terms: JobTerms | undefined,
    resolve: Resolve<T, R>,
    reject: Reject<T, R>,
  ) {
    this.item = item;
    this.arrival = arrival;
    this.priority = priority;
    this.terms = terms;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get bytes(): number {
    return this.terms === undefined ? 0 : this.terms.bytes;
  }

  get key(): string | undefined {
    return this.terms === undefined ? undefined : this.terms.key;
  }

  get context(): CallContext | undefined {
    return this.terms === undefined ? undefined : this.terms.context;
  }

  /** `Infinity` without a deadline. */
  get deadlineAt(): number {
    return this.terms === undefined ? Infinity : this.terms.deadlineAt;
  }

  set group(group: JobGroup) {
    this.#own.group = group;
  }

  abortWith(signal: AbortSignal): void {
    this.#own.signal = signal;
    watchSignal(signal, this);
  }

  /** The job watches by itself: no closure for each item. */
  onAbort({ reason }: AbortSignal): void {
    this.reject(reason, "aborted");
  }

  /** Where the deadline puts it in the queue. */
  dueBy(deadlineAt: number, deadlineMs: number): void {
    this.#own.deadlineMs = deadlineMs;
    this.#own.deadlineAt = deadlineAt;
  }

  expireWith(timers: Timers): void {
    const { terms } = this;
    if (terms === undefined) return;
    terms.timers = timers;
    terms.timer = timers.set(() => this.expire(), terms.deadlineMs, true);
  }

  expire(dispatched: boolean = this.state === "running"): void {
    this.reject(new BatchDeadlineError(this.terms?.deadlineMs ?? 0, dispatched), "expired");
  }

  fulfil(value: R): void {
    if (this.#leave("fulfilled")) this.#resolve(value, this);
  }

  reject(reason: unknown, how: Settlement = "rejected"): void {
    if (this.#leave(how)) this.#reject(reason, this);
  }

  /** Counts the item as done for its group, once, however often it is reported. */
  advance(): void {
    const group = this.terms?.group;
    if (this.terms === undefined || group === undefined) return;
    this.terms.group = undefined;
    group.advance();
  }

  #leave(how: Settlement): boolean {
    const from = this.state;
    if (from === "settled") return false;
    this.state = "settled";
    if (this.place !== undefined) this.place.leave(this);
    this.arrival.host.onSettled(this, how, from);
    if (this.terms === undefined) return true;
    this.terms.release(this);
    this.advance();
    return true;
  }

  get #own(): JobTerms {
    this.terms ??= new JobTerms();
    return this.terms;
  }
}

/** What only some items have. */
export class JobTerms {
  bytes = 0;
  key: string | undefined = undefined;
  context: CallContext | undefined = undefined;
  group: JobGroup | undefined = undefined;
  deadlineMs: number = Infinity;
  deadlineAt: number = Infinity;
  /** Of those with a deadline, to tell equal ones apart. */
  sequence = 0;
  signal: AbortSignal | undefined = undefined;
  timers: Timers | undefined = undefined;
  timer: unknown = undefined;
  share: JobShare | undefined = undefined;

  release(watcher: SignalWatcher): void {
    if (this.signal !== undefined) unwatchSignal(this.signal, watcher);
    this.timers?.clear(this.timer);
  }
}
