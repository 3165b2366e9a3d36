import { AsyncResource } from "node:async_hooks";
import type { BatchSettings } from "./controller.ts";
import type { Job } from "./job.ts";
import { Lanes } from "./lanes.ts";
import type { Lane, Turns } from "./lanes.ts";
import { deepest } from "./nesting.ts";
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
  /** How many batches may run. Asks no controller that was not asked before. */
  slots(): number;
  limits(now: number): Limits;
  ageingMs(): number;
  /** Its server asked to be left alone for a while. */
  isHeld(processor: Processor<T, R>): boolean;
  /** Removes what should not be dispatched any more. */
  screen(jobs: Job<T, R>[], processor: Processor<T, R>, now: number): Job<T, R>[];
  /** The slot is free when it settles. */
  start(dispatch: Dispatch<T, R>): Promise<unknown>;
  onRoom(): void;
  onSlotFree(): void;
  /** Paused with items queued. */
  onStuck(): void;
}

/** So many batches of one long queue, then the event loop has its turn: a processor that answers from memory would never let it. */
const mostInRow = 64;

/** A lane to serve, and the slot for it: 0 for one of the common ones, else the one that is kept for that depth. */
interface Choice<T, R> {
  readonly lane: Lane<T, R>;
  readonly depth: number;
  readonly slot: number;
}

/**
 * Takes batches from the lanes of each processor in turn, while slots are free. Items that were added from inside running
 * calls go first, and each depth of nesting has one slot beside the common ones, so that no call waits for its own slot.
 * Batches belong to nobody who added to them: they run in the async context (`AsyncLocalStorage`) that the batcher was made in.
 */
export class Dispatcher<T, R> {
  readonly #host: DispatcherHost<T, R>;
  readonly #depths: Lanes<T, R>[] = [];
  readonly #nestedSlots = new Set<number>();
  readonly #turns: Turns = { count: 0 };
  readonly #shallow: Lanes<T, R> = new Lanes(this.#turns);
  readonly #scope = new AsyncResource("BatchProcessor");
  #running = 0;
  #runningItems = 0;
  #paused = false;
  #scheduled = false;
  #lingerTimer: unknown = undefined;
  #lingerUntil = 0;
  #dispatchedInRow = 0;

  constructor(host: DispatcherHost<T, R>) {
    this.#host = host;
    this.#depths.push(this.#shallow);
  }

  get queued(): number {
    if (this.#depths.length === 1) return this.#shallow.queued;
    return this.#depths.reduce((sum, { queued }) => sum + queued, 0);
  }

  get queuedBytes(): number {
    return this.#depths.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
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
    this.schedule();
  }

  lanesAt(depth: number): Lanes<T, R> {
    return (depth === 0 ? this.#shallow : this.#depths[depth]) ?? this.#deepen(depth);
  }

  push(job: Job<T, R>, processor: Processor<T, R>, lanes: Lanes<T, R>): void {
    lanes.push(job, processor);
    this.schedule();
  }

  /** A queued job settled. */
  forget(job: Job<T, R>, lanes: Lanes<T, R>): void {
    lanes.forget(job);
    if (this.#lingerTimer !== undefined && this.queued === 0) this.#stopLinger();
  }

  /** Every job still queued. */
  takeAll(): Job<T, R>[] {
    this.#stopLinger();
    const now = this.#host.now();
    return this.#depths.flatMap((lanes) => lanes.takeAll(now));
  }

  /** Dispatches once the present tick and its microtasks are over, so that what is added together goes together. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#afterMicrotasks);
  }

  readonly #isHeld = (processor: Processor<T, R>): boolean => this.#host.isHeld(processor);

  readonly #afterMicrotasks = (): void => {
    if (this.#dispatchedInRow < mostInRow) process.nextTick(this.#enter);
    else {
      this.#dispatchedInRow = 0;
      setImmediate(this.#enter);
    }
  };

  readonly #enter = (): void => this.#scope.runInAsyncScope(this.#pump);

  readonly #pump = (): void => {
    this.#scheduled = false;
    if (this.#paused && this.queued > 0) this.#host.onStuck();
    while (!this.#paused && this.queued > 0) {
      const occupied = this.#running - this.#nestedSlots.size;
      if (occupied >= this.#host.slots() && this.#depths.length === 1) return;
      const now = this.#host.now();
      const limits = this.#host.limits(now);
      const common = occupied < limits.concurrency;
      const choice = common ? this.#choose(limits, now) : this.#chooseNested(limits);
      if (choice === undefined) return;
      this.#dispatch(choice, limits, now);
      this.#host.onRoom();
    }
  };

  /** The deepest full batch; or the deepest at all, unless it is to linger: for the last idle slot, while others are at work. */
  #choose(limits: Limits, now: number): Choice<T, R> | undefined {
    let found: Choice<T, R> | undefined;
    for (let depth = this.#depths.length - 1; depth >= 0; depth--) {
      const { full, partial } = this.lanesAt(depth).find(limits.size, this.#isHeld);
      if (full !== undefined) return { lane: full, depth, slot: 0 };
      if (partial !== undefined) found ??= { lane: partial, depth, slot: 0 };
    }
    if (found === undefined || limits.lingerMs === 0) return found;
    const busy = this.#running - this.#nestedSlots.size;
    const dueAt = found.lane.waitingSince + limits.lingerMs;
    if (this.#running === 0 || limits.concurrency - busy > 1 || now >= dueAt) return found;
    this.#linger(dueAt, now);
    return undefined;
  }

  #chooseNested({ size }: Limits): Choice<T, R> | undefined {
    for (let depth = this.#depths.length - 1; depth > 0; depth--) {
      if (this.#nestedSlots.has(depth)) continue;
      const { full, partial } = this.lanesAt(depth).find(size, this.#isHeld);
      const lane = full ?? partial;
      if (lane !== undefined) return { lane, depth, slot: depth };
    }
    return undefined;
  }

  #linger(until: number, now: number): void {
    if (this.#lingerTimer !== undefined && this.#lingerUntil <= until) return;
    this.#stopLinger();
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

  #stopLinger(): void {
    this.#host.timers.clear(this.#lingerTimer);
    this.#lingerTimer = undefined;
  }

  #dispatch({ lane, depth, slot }: Choice<T, R>, limits: Limits, now: number): void {
    const taken = this.lanesAt(depth).take(lane, limits.size, now, this.#host.ageingMs());
    this.#turns.count += 1;
    this.#dispatchedInRow = this.queued === 0 ? 0 : this.#dispatchedInRow + 1;
    if (this.#lingerTimer !== undefined) this.#stopLinger();
    const jobs = this.#host.screen(taken, lane.processor, now);
    if (jobs.length === 0) return this.#host.onSlotFree();
    this.#running += 1;
    this.#runningItems += jobs.length;
    if (slot > 0) this.#nestedSlots.add(slot);
    const saturated = taken.length >= limits.size;
    void this.#occupy({ processor: lane.processor, jobs, limits, saturated, now }, slot);
  }

  async #occupy(dispatch: Dispatch<T, R>, slot: number): Promise<void> {
    try {
      await this.#host.start(dispatch);
    } catch (error) {
      // A thrown value so odd that looking at it throws (a revoked proxy): its items must not be lost for that.
      for (const job of dispatch.jobs) job.reject(error);
    }
    this.#running -= 1;
    this.#runningItems -= dispatch.jobs.length;
    this.#nestedSlots.delete(slot);
    this.schedule();
    this.#host.onSlotFree();
  }

  #deepen(depth: number): Lanes<T, R> {
    let lanes = this.#shallow;
    while (this.#depths.length <= Math.min(depth, deepest)) {
      lanes = new Lanes(this.#turns);
      this.#depths.push(lanes);
    }
    return lanes;
  }
}
