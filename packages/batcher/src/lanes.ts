import { ItemQueue } from "./item-queue.ts";
import type { Job } from "./job.ts";
import type { Processor } from "./processor.ts";

/** What waits for one processor. */
export interface Lane<T, R> {
  readonly processor: Processor<T, R>;
  readonly queue: ItemQueue<T, R>;
}

/** What waits at one depth of nesting: a lane for each processor, in turn order. Its own count of items and bytes. */
export class Lanes<T, R> {
  readonly #lanes = new Map<Processor<T, R>, Lane<T, R>>();
  #recent: Lane<T, R> | undefined = undefined;
  queued = 0;
  queuedBytes = 0;

  push(job: Job<T, R>, processor: Processor<T, R>): void {
    let lane = this.#recent;
    if (lane?.processor !== processor) {
      lane = this.#lanes.get(processor) ?? this.#open(processor);
      this.#recent = lane;
    }
    lane.queue.push(job);
    this.queued += 1;
    this.queuedBytes += job.bytes;
  }

  /** A queued job settled. */
  forget(job: Job<T, R>): void {
    this.queued -= 1;
    this.queuedBytes -= job.bytes;
  }

  take(lane: Lane<T, R>, limit: number, now: number, ageingMs: number): Job<T, R>[] {
    const jobs = lane.queue.take(limit, now, ageingMs);
    for (const job of jobs) {
      job.state = "running";
      this.queuedBytes -= job.bytes;
    }
    this.queued -= jobs.length;
    if (lane.queue.size === 0) this.#close(lane);
    else if (this.#lanes.size > 1) {
      this.#lanes.delete(lane.processor);
      this.#lanes.set(lane.processor, lane);
    }
    return jobs;
  }

  /** Every job still queued. */
  takeAll(now: number): Job<T, R>[] {
    return [...this.#lanes.values()].flatMap((lane) => this.take(lane, Infinity, now, 1));
  }

  /** The first lane with a full batch, and the first with anything at all, of those that are not held. */
  find(
    size: number,
    isHeld: (processor: Processor<T, R>) => boolean,
  ): { readonly full?: Lane<T, R>; readonly partial?: Lane<T, R> } {
    let partial: Lane<T, R> | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.queue.size > 0 && isHeld(lane.processor)) continue;
      if (lane.queue.size >= size) return { full: lane };
      if (lane.queue.size === 0) this.#close(lane);
      else partial ??= lane;
    }
    return partial === undefined ? {} : { partial };
  }

  #open(processor: Processor<T, R>): Lane<T, R> {
    const lane = { processor, queue: new ItemQueue<T, R>() };
    this.#lanes.set(processor, lane);
    return lane;
  }

  #close(lane: Lane<T, R>): void {
    this.#lanes.delete(lane.processor);
    if (this.#recent === lane) this.#recent = undefined;
  }
}
