import type { AddOptions } from "./add-options.ts";
import { BatchRun } from "./batch-run.ts";
import type { RetryEvent, RunHost } from "./batch-run.ts";
import type { BatchRecord, BatchSettings } from "./controller.ts";
import { Counters } from "./counters.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Dispatch, DispatcherHost, Limits } from "./dispatcher.ts";
import {
  BatchClosedError,
  BatchItemTooLargeError,
  BatcherOptionError,
  BatcherPausedError,
} from "./errors.ts";
import type { BatcherError } from "./errors.ts";
import { EventHub } from "./event-hub.ts";
import { History } from "./history.ts";
import { Holds } from "./holds.ts";
import type { Waiter } from "./intake.ts";
import { Job, JobTerms } from "./job.ts";
import type { Arrival, JobHost, Reject, Resolve, Settlement } from "./job.ts";
import { CallContext } from "./nesting.ts";
import { tuneOptions } from "./options.ts";
import type { Settings, TunableOptions, Tunables } from "./options.ts";
import { Pace, Paces } from "./pace.ts";
import type { Processor } from "./processor.ts";
import { RetryBudget } from "./retry-budget.ts";
import { SharedJobs } from "./shared-jobs.ts";
import { sizeHintOf } from "./size-hint.ts";
import { Sizing } from "./sizing.ts";
import { Sleeper } from "./sleeper.ts";
import type { Timers } from "./timers.ts";
import { WaitingRoom } from "./waiting-room.ts";

export interface SubmitOptions {
  readonly priority?: number | undefined;
  readonly key?: string | undefined;
  readonly deadlineMs?: number | undefined;
  /** Default: `deadlineMs` from now. */
  readonly deadlineAt?: number | undefined;
}

/** The parts of a batcher at work together: admission, dispatch, runs, and what is known about them. */
export class Engine<T, R> implements JobHost<T, R>, DispatcherHost<T, R>, RunHost<T, R> {
  readonly settings: Settings<T, R>;
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
  readonly #paces = new Paces<Processor<T, R>>();
  readonly #holds: Holds<Processor<T, R>>;
  /** By depth of nesting. */
  readonly #rooms: WaitingRoom[] = [];
  readonly #shared: (SharedJobs<T, R> | undefined)[] = [];
  readonly #idle: { resolve: () => void; reject?: (error: BatcherError) => void }[] = [];
  #tunables: Tunables;
  #arrival: Arrival<T, R> = { at: 0, host: this };
  #batchId = 0;

  constructor(settings: Settings<T, R>) {
    this.settings = settings;
    this.#tunables = settings.tunables;
    this.now = settings.now;
    this.timers = settings.timers;
    this.history = new History(settings.historyLimit);
    this.sizing = new Sizing(settings.tunables, settings);
    this.budget = new RetryBudget(settings.tunables.retryBudgetRatio);
    this.#sleeper = new Sleeper(settings.timers);
    this.dispatcher = new Dispatcher(this);
    this.#holds = new Holds(settings.timers, () => this.dispatcher.schedule());
  }

  get tunables(): Tunables {
    return this.#tunables;
  }

  /** @throws BatcherOptionError; nothing has changed then. */
  tune(changes: TunableOptions): void {
    const tunables = tuneOptions(this.#tunables, changes);
    this.#tunables = tunables;
    this.sizing.retune(tunables, changes);
    this.budget.ratio = tunables.retryBudgetRatio;
    for (const shared of this.#shared) shared?.prune();
    this.dispatcher.schedule();
    this.onRoom();
  }

  get busy(): boolean {
    const { queued, running } = this.dispatcher;
    return queued + running > 0 || this.#rooms.some(({ empty }) => !empty);
  }

  /** Accepts one item; undefined when there is no room now. Throws what the item is refused with. */
  submit(
    item: T,
    processor: Processor<T, R>,
    resolve: Resolve<T, R>,
    reject: Reject<T, R>,
    context: CallContext | undefined,
    options?: SubmitOptions,
  ): Job<T, R> | undefined {
    if (this.closing) throw new BatchClosedError();
    const bytes = this.settings.sizeOf === undefined ? 0 : this.#bytesOf(item);
    const { dispatcher } = this;
    const { queueLimit, queueMaxBytes, queueKeyShare } = this.#tunables;
    const lanes = dispatcher.lanesAt(context === undefined ? 0 : context.depthOf(this));
    if (lanes.queued >= queueLimit || lanes.queuedBytes + bytes > queueMaxBytes) return undefined;
    if (options?.key !== undefined) {
      const queued = { items: lanes.queued, bytes: lanes.queuedBytes };
      const limits = { items: queueLimit, bytes: queueMaxBytes };
      if (!lanes.keys.admits(options.key, bytes, queueKeyShare, queued, limits)) return undefined;
    }
    const terms =
      bytes === 0 && context === undefined && options?.key === undefined
        ? undefined
        : termsOf(bytes, context, options?.key);
    const deadlineMs = options?.deadlineMs;
    const arrival = deadlineMs === undefined ? this.#stamp() : { at: this.now(), host: this };
    const job = new Job(item, arrival, options?.priority ?? 0, terms, resolve, reject);
    this.counters.accepted += 1;
    if (deadlineMs !== undefined)
      job.dueBy(options?.deadlineAt ?? arrival.at + deadlineMs, deadlineMs);
    dispatcher.push(job, processor, lanes);
    return job;
  }

  /** As `submit`, and lets it go when the signal or the deadline says so. */
  add(
    item: T,
    processor: Processor<T, R>,
    resolve: (value: R) => void,
    reject: (reason: unknown) => void,
    options: AddOptions | undefined,
  ): boolean {
    const context = CallContext.current();
    if (options === undefined)
      return this.submit(item, processor, resolve, reject, context) !== undefined;
    if (options.dedupeKey !== undefined)
      return this.#share(options.dedupeKey, item, processor, resolve, reject, context, options);
    const job = this.submit(item, processor, resolve, reject, context, options);
    if (job === undefined) return false;
    if (options.signal !== undefined) job.abortWith(options.signal);
    if (options.deadlineMs !== undefined) job.expireWith(this.timers);
    return true;
  }

  /** First come, first admitted, within a key. */
  waitForRoom(waiter: Waiter, context: CallContext | undefined, key: string | undefined): void {
    const depth = context?.depthOf(this) ?? 0;
    while (this.#rooms.length <= depth) this.#rooms.push(new WaitingRoom());
    this.#rooms[depth]?.enter(waiter, key);
  }

  /** Whether we are inside one of this batcher's calls. */
  get reentered(): boolean {
    return (CallContext.current()?.depthOf(this) ?? 0) > 0;
  }

  /** Resolves when nothing is queued, running or waiting to be. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push({ resolve });
      this.#checkIdle();
    });
  }

  /** As `whenIdle`, and rejects when the batcher is paused with items queued, now or later. */
  whenDrained(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#idle.push({ resolve, reject });
      if (this.dispatcher.paused) this.onStuck();
      this.#checkIdle();
    });
  }

  close(): void {
    if (this.closing) return;
    this.closing = true;
    for (const job of this.dispatcher.takeAll()) job.reject(new BatchClosedError(), "closed");
    for (const room of this.#rooms) room.refuse(new BatchClosedError());
    for (const shared of this.#shared) shared?.clear();
    this.#sleeper.wakeAll();
    this.#holds.clear();
    this.#checkIdle();
  }

  onSettled(job: Job<T, R>, how: Settlement, from: "queued" | "running"): void {
    this.counters.settled[how] += 1;
    if (from !== "queued") return;
    const { dispatcher } = this;
    dispatcher.forget(job, dispatcher.lanesAt(job.context?.depthOf(this) ?? 0));
    this.onRoom();
    this.#checkIdle();
  }

  onRoom(): void {
    for (const room of this.#rooms) room.admit();
  }

  onSlotFree(): void {
    this.#checkIdle();
  }

  onStuck(): void {
    const { queued } = this.dispatcher;
    if (queued === 0) return;
    for (const waiting of this.#idle.splice(0))
      if (waiting.reject === undefined) this.#idle.push(waiting);
      else waiting.reject(new BatcherPausedError(queued));
  }

  slots(): number {
    return this.sizing.slots();
  }

  limits(now: number): Limits {
    return this.sizing.limits(now);
  }

  ageingMs(): number {
    return this.#tunables.priorityAgeingMs;
  }

  isHeld(processor: Processor<T, R>): boolean {
    return this.#holds.has(processor);
  }

  screen(jobs: Job<T, R>[], processor: Processor<T, R>, now: number): Job<T, R>[] {
    if (jobs.every(isUntimed)) return jobs;
    const earliestEnd = now + this.#paces.fastestMs(processor, jobs.length, now);
    for (const job of jobs)
      if (job.terms?.share !== undefined) job.terms.share.expireBy(earliestEnd, false);
      else if (job.deadlineAt <= earliestEnd) job.expire(false);
    return jobs.filter(({ state }) => state !== "settled");
  }

  start({ processor, jobs, limits, saturated, now }: Dispatch<T, R>): Promise<unknown> {
    this.sizing.started(limits.asked);
    const run = new BatchRun<T, R>(this, processor, {
      batchId: ++this.#batchId,
      settings: limits.asked,
      saturated,
      waitMs: now - (jobs[0]?.arrival.at ?? now),
    });
    return run.run(jobs);
  }

  onFirstCall(): void {
    this.budget.deposit();
  }

  onNextCall(settings: BatchSettings): void {
    this.sizing.repeated(settings, this.now());
  }

  onCall(record: BatchRecord, processor: Processor<T, R>): void {
    this.counters.batches[record.outcome] += 1;
    this.history.push(record);
    this.pace.record(record);
    this.#paces.record(processor, record);
    this.sizing.record(record);
    this.events.emit("batch", () => record);
  }

  onTooLarge(size: number, error: unknown): void {
    this.sizing.refuse(size, this.now(), sizeHintOf(error, size));
  }

  onSuspicion(size: number): void {
    this.sizing.suspect(size, this.now());
  }

  onHint(processor: Processor<T, R>, delayMs: number): void {
    if (this.closing) return;
    const { retryBackoffMaxMs } = this.#tunables;
    this.#holds.hold(processor, this.now(), Math.min(delayMs, retryBackoffMaxMs));
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
  #stamp(): Arrival<T, R> {
    if (!this.dispatcher.scheduled) this.#arrival = { at: this.now(), host: this };
    return this.#arrival;
  }

  /** Items of one key and one depth are one job; a call cannot come to wait for itself. */
  #share(
    key: string,
    item: T,
    processor: Processor<T, R>,
    resolve: (value: R) => void,
    reject: (reason: unknown) => void,
    context: CallContext | undefined,
    options: AddOptions,
  ): boolean {
    if (this.closing) throw new BatchClosedError();
    const depth = context?.depthOf(this) ?? 0;
    const { now, timers } = this;
    const windowMs = (): number => this.#tunables.dedupeWindowMs;
    const shared = (this.#shared[depth] ??= new SharedJobs<T, R>({ now, timers, windowMs }));
    const kept = shared.kept(key);
    const open = kept === undefined ? shared.find(key) : undefined;
    if (kept !== undefined || open !== undefined) this.counters.deduplicated += 1;
    if (kept !== undefined) resolve(kept.value);
    else if (open !== undefined) open.join(resolve, reject, options);
    else {
      const mine = shared.create(key);
      mine.job = this.submit(item, processor, mine.resolve, mine.reject, context, options);
      if (mine.job === undefined) return false;
      shared.open(key, mine);
      (mine.job.terms ??= new JobTerms()).share = mine;
      mine.join(resolve, reject, options);
    }
    return true;
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
    for (const { resolve } of this.#idle.splice(0)) resolve();
  }
}

function termsOf(
  bytes: number,
  context: CallContext | undefined,
  key: string | undefined,
): JobTerms {
  const terms = new JobTerms();
  terms.bytes = bytes;
  terms.context = context;
  terms.key = key;
  return terms;
}

function isUntimed<T, R>({ terms }: Job<T, R>): boolean {
  return terms === undefined || (terms.share === undefined && terms.deadlineAt === Infinity);
}
