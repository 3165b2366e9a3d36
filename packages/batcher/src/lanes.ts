import { ItemQueue } from "./item-queue.ts";
import type { Job } from "./job.ts";
import { KeyShares } from "./key-shares.ts";
import type { Processor } from "./processor.ts";

/** A partial batch lets so many batches of others go first; then it has its turn as it is. */
export const mostPassed = 4;

/** Batches dispatched so far, at all depths. */
export interface Turns {
  count: number;
}

/** What waits for one processor. */
export interface Lane<T, R> {
  readonly processor: Processor<T, R>;
  readonly queue: ItemQueue<T, R>;
  /** When it was last served, or became non-empty. */
  waitingSince: number;
  /** Of `Turns`, at that time. */
  turn: number;
}

/** What waits at one depth of nesting: a lane for each processor, in turn order. Its own count of items and bytes. */
export class Lanes<T, R> {
  readonly #lanes = new Map<Processor<T, R>, Lane<T, R>>();
  readonly #turns: Turns;
  readonly keys: KeyShares = new KeyShares();
  #recent: Lane<T, R> | undefined = undefined;
  queued = 0;
  queuedBytes = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  push(job: Job<T, R>, processor: Processor<T, R>): void {
    let lane = this.#recent;
    if (lane?.processor !== processor) {
      lane = this.#lanes.get(processor) ?? this.#open(processor, job.arrival.at);
      this.#recent = lane;
    }
    lane.queue.push(job);
    this.queued += 1;
    this.queuedBytes += job.bytes;
    if (job.key !== undefined) this.keys.add(job.key, job.bytes);
  }

  /** A queued job settled. */
  forget(job: Job<T, R>): void {
    this.queued -= 1;
    this.queuedBytes -= job.bytes;
    if (job.key !== undefined) this.keys.remove(job.key, job.bytes);
    if (this.queued === 0) for (const lane of this.#lanes.values()) this.#close(lane);
  }

  take(lane: Lane<T, R>, limit: number, now: number, ageingMs: number): Job<T, R>[] {
    const jobs = lane.queue.take(limit, now, ageingMs);
    for (const job of jobs) {
      job.state = "running";
      if (job.terms === undefined) continue;
      this.queuedBytes -= job.bytes;
      if (job.key !== undefined) this.keys.remove(job.key, job.bytes);
    }
    this.queued -= jobs.length;
    if (lane.queue.size === 0) {
      this.#close(lane);
      return jobs;
    }
    lane.waitingSince = now;
    lane.turn = this.#turns.count;
    if (this.#lanes.size > 1) {
      this.#lanes.delete(lane.processor);
      this.#lanes.set(lane.processor, lane);
    }
    return jobs;
  }

  /** Every job still queued. */
  takeAll(now: number): Job<T, R>[] {
    return [...this.#lanes.values()].flatMap((lane) => this.take(lane, Infinity, now, 1));
  }

  /** The first lane with a full batch or one that has let enough others go first, and the first with anything at all, of those that are not held. */
  find(
    size: number,
    isHeld: (processor: Processor<T, R>) => boolean,
  ): { readonly full?: Lane<T, R>; readonly partial?: Lane<T, R> } {
    let partial: Lane<T, R> | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.queue.size > 0 && isHeld(lane.processor)) continue;
      if (lane.queue.size >= size) return { full: lane };
      if (lane.queue.size === 0) this.#close(lane);
      else if (this.#turns.count - lane.turn >= mostPassed) return { full: lane };
      else partial ??= lane;
    }
    return partial === undefined ? {} : { partial };
  }

  #open(processor: Processor<T, R>, waitingSince: number): Lane<T, R> {
    const turn = this.#turns.count;
    const lane = { processor, queue: new ItemQueue<T, R>(), waitingSince, turn };
    this.#lanes.set(processor, lane);
    return lane;
  }

  #close(lane: Lane<T, R>): void {
    this.#lanes.delete(lane.processor);
    if (this.#recent === lane) this.#recent = undefined;
  }
}
