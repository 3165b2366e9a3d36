import { BatchRun } from "./batch-run.ts";
import type { RetryEvent, RunHost } from "./batch-run.ts";
import type { BatchRecord } from "./controller.ts";
import { Counters } from "./counters.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Dispatch, DispatcherHost, Limits } from "./dispatcher.ts";
import { BatchClosedError, BatchItemTooLargeError, BatcherOptionError } from "./errors.ts";
import { EventHub } from "./event-hub.ts";
import { History } from "./history.ts";
import type { Waiter } from "./intake.ts";
import { Job } from "./job.ts";
import type { JobHost, Outcome, Settlement } from "./job.ts";
import type { Settings, Tunables } from "./options.ts";
import { Pace } from "./pace.ts";
import type { Processor } from "./processor.ts";
import { RetryBudget } from "./retry-budget.ts";
import { Sizing } from "./sizing.ts";
import { Sleeper } from "./sleeper.ts";
import type { Timers } from "./timers.ts";

export interface AddOptions {
  /** An integer from -100 to 100; higher goes first. */
  readonly priority?: number | undefined;
  /** The answer must be there within this time. */
  readonly deadlineMs?: number | undefined;
  /** Items of different keys take turns within their priority, so that one busy key cannot crowd out the others. */
  readonly key?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The parts of a batcher at work together: admission, dispatch, runs, and what is known about them. */
export class Engine<T, R> implements JobHost<T, R>, DispatcherHost<T, R>, RunHost<T> {
  readonly settings: Settings<T>;
  readonly now: () => number;
  readonly timers: Timers;
  readonly counters: Counters = new Counters();
  readonly events: EventHub = new EventHub();
  readonly history: History<BatchRecord>;
  readonly sizing: Sizing;
  readonly budget: RetryBudget;
  readonly pace: Pace = new Pace();
  readonly dispatcher: Dispatcher<T, R>;
  closing = false;
  readonly #sleeper: Sleeper;
  readonly #waiters: Waiter[] = [];
  readonly #idle: (() => void)[] = [];
  #tunables: Tunables;
  #stampedAt = 0;
  #batchId = 0;

  constructor(settings: Settings<T>) {
    this.settings = settings;
    this.#tunables = settings.tunables;
    this.now = settings.now;
    this.timers = settings.timers;
    this.history = new History(settings.historyLimit);
    this.sizing = new Sizing(settings.tunables, settings.controller);
    this.budget = new RetryBudget(settings.tunables.retryBudgetRatio);
    this.#sleeper = new Sleeper(settings.timers);
    this.dispatcher = new Dispatcher(this);
  }

  get tunables(): Tunables {
    return this.#tunables;
  }

  set tunables(tunables: Tunables) {
    this.#tunables = tunables;
    this.sizing.retune(tunables);
    this.budget.ratio = tunables.retryBudgetRatio;
    this.dispatcher.schedule();
    this.onRoom();
  }

  get busy(): boolean {
    return this.dispatcher.queued + this.dispatcher.running + this.#waiters.length > 0;
  }

  /** Accepts one item; undefined when there is no room now. Throws what the item is refused with. */
  submit(
    item: T,
    processor: Processor<T, R>,
    outcome: Outcome<R>,
    options?: AddOptions,
  ): Job<T, R> | undefined {
    if (this.closing) throw new BatchClosedError();
    const bytes = this.settings.sizeOf === undefined ? 0 : this.#bytesOf(item);
    const { dispatcher } = this;
    const { queueLimit, queueMaxBytes } = this.#tunables;
    if (dispatcher.queued >= queueLimit || dispatcher.queuedBytes + bytes > queueMaxBytes)
      return undefined;
    const timed = options?.deadlineMs !== undefined;
    const enqueuedAt = timed ? this.now() : this.#stamp();
    const job = new Job<T, R>(this, item, outcome, bytes, enqueuedAt, options);
    this.counters.accepted += 1;
    dispatcher.push(job, processor);
    if (options?.signal !== undefined) job.abortWith(options.signal);
    if (timed) job.expireWith(this.timers);
    return job;
  }

  /** First come, first admitted. */
  waitForRoom(waiter: Waiter): void {
    if (this.#waiters.length > 0 || !waiter.admit()) this.#waiters.push(waiter);
  }

  /** Resolves when nothing is queued, running or waiting to be. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#checkIdle();
    });
  }

  close(): void {
    if (this.closing) return;
    this.closing = true;
    for (const job of this.dispatcher.takeAll()) job.reject(new BatchClosedError(), "closed");
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(new BatchClosedError());
    this.#sleeper.wakeAll();
    this.#checkIdle();
  }

  onSettled(job: Job<T, R>, how: Settlement, from: "queued" | "running"): void {
    this.counters.settled[how] += 1;
    if (from !== "queued") return;
    this.dispatcher.remove(job);
    this.onRoom();
    this.#checkIdle();
  }

  onRoom(): void {
    while (this.#waiters[0]?.admit() === true) this.#waiters.shift();
  }

  onSlotFree(): void {
    this.#checkIdle();
  }

  limits(now: number): Limits {
    return this.sizing.limits(now);
  }

  ageingMs(): number {
    return this.#tunables.priorityAgeingMs;
  }

  screen(jobs: Job<T, R>[], now: number): Job<T, R>[] {
    if (jobs.every(({ deadlineAt }) => deadlineAt === Infinity)) return jobs;
    const earliestEnd = now + this.pace.fastestMs(now);
    const late = jobs.filter(({ deadlineAt }) => deadlineAt <= earliestEnd);
    for (const job of late) job.expire(false);
    return late.length === 0 ? jobs : jobs.filter(({ state }) => state !== "settled");
  }

  start({ processor, jobs, limits, saturated, now }: Dispatch<T, R>): Promise<void> {
    this.sizing.started(limits.asked);
    const run = new BatchRun<T, R>(this, processor, {
      batchId: ++this.#batchId,
      settings: limits.asked,
      saturated,
      waitMs: now - (jobs[0]?.enqueuedAt ?? now),
    });
    return run.run(jobs);
  }

  onFirstCall(): void {
    this.budget.deposit();
  }

  onCall(record: BatchRecord): void {
    this.counters.batches[record.outcome] += 1;
    this.history.push(record);
    this.pace.record(record);
    this.sizing.record(record);
    this.events.emit("batch", () => record);
  }

  onTooLarge(size: number): void {
    this.sizing.refuse(size, this.now());
  }

  onSplit(reason: "too-large" | "poison", size: number, batchId: number): void {
    this.counters.splits[reason] += 1;
    this.events.emit("split", () => ({ batchId, size, reason }));
  }

  takeRetry(): boolean {
    return this.budget.take();
  }

  backOff(delayMs: number): Promise<void> {
    return this.#sleeper.sleep(delayMs);
  }

  onRetry(retry: RetryEvent): void {
    this.counters.retries += 1;
    this.events.emit("retry", () => retry);
  }

  /** One reading of the clock for all that is added in a tick. */
  #stamp(): number {
    if (!this.dispatcher.scheduled) this.#stampedAt = this.now();
    return this.#stampedAt;
  }

  #bytesOf(item: T): number {
    const bytes = this.settings.sizeOf?.(item) ?? 0;
    if (!(bytes >= 0 && bytes < Infinity))
      throw new BatcherOptionError("sizeOf", "to return a number of bytes", bytes);
    const { queueMaxBytes } = this.#tunables;
    if (bytes > queueMaxBytes) throw new BatchItemTooLargeError(bytes, queueMaxBytes);
    return bytes;
  }

  #checkIdle(): void {
    if (this.busy) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
