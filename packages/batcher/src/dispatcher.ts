import type { BatchSettings } from "./controller.ts";
import { ItemQueue } from "./item-queue.ts";
import type { Job } from "./job.ts";
import type { Processor } from "./processor.ts";
import type { Timers } from "./timers.ts";

/** The controller's wish after clamping; `asked` is the wish itself. */
export interface Limits extends BatchSettings {
  readonly asked: BatchSettings;
}

export interface Dispatch<T, R> {
  readonly processor: Processor<T, R>;
  readonly jobs: readonly Job<T, R>[];
  readonly limits: Limits;
  readonly saturated: boolean;
  readonly now: number;
}

export interface DispatcherHost<T, R> {
  readonly now: () => number;
  readonly timers: Timers;
  limits(now: number): Limits;
  ageingMs(): number;
  /** Removes what should not be dispatched any more. */
  screen(jobs: Job<T, R>[], now: number): Job<T, R>[];
  /** Must not reject; the slot is free when it resolves. */
  start(dispatch: Dispatch<T, R>): Promise<void>;
  onRoom(): void;
  onSlotFree(): void;
}

/** Takes batches from the queues of each processor in turn, while slots are free. */
export class Dispatcher<T, R> {
  readonly #host: DispatcherHost<T, R>;
  readonly #lanes = new Map<Processor<T, R>, ItemQueue<T, R>>();
  #queued = 0;
  #queuedBytes = 0;
  #running = 0;
  #runningItems = 0;
  #paused = false;
  #scheduled = false;
  #lingerTimer: unknown = undefined;
  #lingerUntil = 0;
  #waitingSince = 0;

  constructor(host: DispatcherHost<T, R>) {
    this.#host = host;
  }

  get queued(): number {
    return this.#queued;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get running(): number {
    return this.#running;
  }

  get runningItems(): number {
    return this.#runningItems;
  }

  get scheduled(): boolean {
    return this.#scheduled;
  }

  get paused(): boolean {
    return this.#paused;
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    if (!paused) this.schedule();
  }

  push(job: Job<T, R>, processor: Processor<T, R>): void {
    let lane = this.#lanes.get(processor);
    if (lane === undefined) {
      lane = new ItemQueue();
      this.#lanes.set(processor, lane);
    }
    if (this.#queued === 0) this.#waitingSince = job.enqueuedAt;
    lane.push(job);
    this.#queued += 1;
    this.#queuedBytes += job.bytes;
    this.schedule();
  }

  /** Forgets a queued job that settled. */
  remove(job: Job<T, R>): void {
    job.queue?.remove(job);
    this.#queued -= 1;
    this.#queuedBytes -= job.bytes;
  }

  /** Every job still queued. */
  takeAll(): Job<T, R>[] {
    this.#host.timers.clear(this.#lingerTimer);
    this.#lingerTimer = undefined;
    const now = this.#host.now();
    return [...this.#lanes.values()].flatMap((lane) => this.#take(lane, Infinity, now));
  }

  /** Dispatches once the present tick and its microtasks are over, so that what is added together goes together. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#afterMicrotasks);
  }

  readonly #afterMicrotasks = (): void => {
    process.nextTick(this.#pump);
  };

  readonly #pump = (): void => {
    this.#scheduled = false;
    while (!this.#paused && this.#queued > 0) {
      const now = this.#host.now();
      const limits = this.#host.limits(now);
      if (this.#running >= limits.concurrency) return;
      const next = this.#nextLane(limits, now);
      if (next === undefined) return;
      this.#dispatch(next[0], next[1], limits, now);
      this.#host.onRoom();
    }
  };

  /** The first lane with a full batch; or the first at all, unless a partial batch has yet to linger. */
  #nextLane(limits: Limits, now: number): readonly [Processor<T, R>, ItemQueue<T, R>] | undefined {
    let partial: [Processor<T, R>, ItemQueue<T, R>] | undefined;
    for (const entry of this.#lanes) {
      const { size } = entry[1];
      if (size >= limits.size) return entry;
      if (size === 0) this.#lanes.delete(entry[0]);
      else partial ??= entry;
    }
    const dueAt = this.#waitingSince + limits.lingerMs;
    if (partial === undefined || this.#running === 0 || now >= dueAt) return partial;
    this.#linger(dueAt, now);
    return undefined;
  }

  #linger(until: number, now: number): void {
    if (this.#lingerTimer !== undefined && this.#lingerUntil <= until) return;
    this.#host.timers.clear(this.#lingerTimer);
    this.#lingerUntil = until;
    this.#lingerTimer = this.#host.timers.set(
      () => {
        this.#lingerTimer = undefined;
        this.schedule();
      },
      until - now,
      true,
    );
  }

  #dispatch(processor: Processor<T, R>, lane: ItemQueue<T, R>, limits: Limits, now: number): void {
    const taken = this.#take(lane, limits.size, now);
    this.#lanes.delete(processor);
    if (lane.size > 0) this.#lanes.set(processor, lane);
    this.#waitingSince = now;
    const jobs = this.#host.screen(taken, now);
    if (jobs.length === 0) return this.#host.onSlotFree();
    this.#running += 1;
    this.#runningItems += jobs.length;
    const saturated = taken.length >= limits.size;
    void this.#occupy({ processor, jobs, limits, saturated, now });
  }

  async #occupy(dispatch: Dispatch<T, R>): Promise<void> {
    await this.#host.start(dispatch);
    this.#running -= 1;
    this.#runningItems -= dispatch.jobs.length;
    this.schedule();
    this.#host.onSlotFree();
  }

  #take(lane: ItemQueue<T, R>, limit: number, now: number): Job<T, R>[] {
    const jobs = lane.take(limit, now, this.#host.ageingMs());
    for (const job of jobs) {
      job.state = "running";
      this.#queuedBytes -= job.bytes;
    }
    this.#queued -= jobs.length;
    return jobs;
  }
}
