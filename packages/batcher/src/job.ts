import { BatchDeadlineError } from "./errors.ts";
import type { FairBucket } from "./fair-bucket.ts";
import type { ItemQueue } from "./item-queue.ts";
import type { Timers } from "./timers.ts";

/** How an accepted item ended. */
export type Settlement = "fulfilled" | "rejected" | "aborted" | "expired" | "closed";

export interface JobHost<T, R> {
  onSettled(job: Job<T, R>, how: Settlement, from: "queued" | "running"): void;
}

/** Where the answer goes. */
export interface Outcome<R> {
  readonly resolve: (value: R) => void;
  readonly reject: (reason: unknown) => void;
}

export interface JobOptions {
  readonly priority?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly key?: string | undefined;
}

/** What a running call wants to know of its jobs. */
export interface JobCall {
  onAbandoned(): void;
}

/** Whose progress a job's completion advances. */
export interface JobGroup {
  advance(): void;
}

/** One accepted item. It settles exactly once, whoever comes first: its result, its signal, its deadline or the end. */
export class Job<T, R> {
  readonly item: T;
  readonly bytes: number;
  readonly priority: number;
  readonly key: string | undefined;
  readonly enqueuedAt: number;
  readonly deadlineMs: number;
  readonly deadlineAt: number;
  state: "queued" | "running" | "settled" = "queued";
  call: JobCall | undefined = undefined;
  group: JobGroup | undefined = undefined;

  /** Owned by the queue: its place in a list or in a heap. */
  queue: ItemQueue<T, R> | undefined = undefined;
  bucket: FairBucket<T, R> | undefined = undefined;
  heapIndex = -1;
  sequence = 0;
  earlier: Job<T, R> | undefined = undefined;
  later: Job<T, R> | undefined = undefined;

  readonly #host: JobHost<T, R>;
  readonly #outcome: Outcome<R>;
  #signal: AbortSignal | undefined = undefined;
  #timers: Timers | undefined = undefined;
  #timer: unknown = undefined;

  constructor(
    host: JobHost<T, R>,
    item: T,
    outcome: Outcome<R>,
    bytes: number,
    enqueuedAt: number,
    options: JobOptions | undefined,
  ) {
    this.#host = host;
    this.#outcome = outcome;
    this.item = item;
    this.bytes = bytes;
    this.enqueuedAt = enqueuedAt;
    this.priority = options?.priority ?? 0;
    this.key = options?.key;
    this.deadlineMs = options?.deadlineMs ?? Infinity;
    this.deadlineAt = enqueuedAt + this.deadlineMs;
  }

  abortWith(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener("abort", this, { once: true });
  }

  /** The job is its own listener: no closure for each item. */
  handleEvent(): void {
    this.reject(this.#signal?.reason, "aborted");
  }

  expireWith(timers: Timers): void {
    this.#timers = timers;
    this.#timer = timers.set(() => this.expire(), this.deadlineMs, false);
  }

  expire(dispatched: boolean = this.state === "running"): void {
    this.reject(new BatchDeadlineError(this.deadlineMs, dispatched), "expired");
  }

  fulfil(value: R): void {
    if (this.#leave("fulfilled")) this.#outcome.resolve(value);
  }

  reject(reason: unknown, how: Settlement = "rejected"): void {
    if (this.#leave(how)) this.#outcome.reject(reason);
  }

  /** Counts the item as done for its group, once, however often it is reported. */
  advance(): void {
    const group = this.group;
    this.group = undefined;
    group?.advance();
  }

  #leave(how: Settlement): boolean {
    const from = this.state;
    if (from === "settled") return false;
    this.state = "settled";
    if (this.#signal !== undefined) this.#signal.removeEventListener("abort", this);
    if (this.#timers !== undefined) this.#timers.clear(this.#timer);
    if (from === "running") this.call?.onAbandoned();
    this.#host.onSettled(this, how, from);
    this.advance();
    return true;
  }
}
