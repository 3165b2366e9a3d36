import { DeadlineHeap } from "./deadline-heap.ts";
import type { Job, JobPlace } from "./job.ts";
import { JobList } from "./job-list.ts";

/** An item without a deadline counts as due this long after its arrival, so that deadlines never starve it. */
export const patienceMs = 30_000;

export interface BucketOwner<T, R> {
  onLeft(bucket: FairBucket<T, R>): void;
}

/** The queued jobs of one key at one priority: a list for those without a deadline, a heap for those with one. */
export class FairBucket<T, R> implements JobPlace<T, R> {
  readonly key: string | undefined;
  readonly priority: number;
  /** What it may still take in its turn, in the unit of `costOf`. */
  credit = 0;
  inTurn = false;
  readonly #owner: BucketOwner<T, R>;
  readonly #list = new JobList<T, R>();
  #heap: DeadlineHeap<T, R> | undefined = undefined;

  constructor(key: string | undefined, priority: number, owner: BucketOwner<T, R>) {
    this.key = key;
    this.priority = priority;
    this.#owner = owner;
  }

  get empty(): boolean {
    return this.#list.size === 0 && this.#heap?.first === undefined;
  }

  get next(): Job<T, R> | undefined {
    const head = this.#list.first;
    const urgent = this.#heap?.first;
    if (urgent === undefined || head === undefined) return urgent ?? head;
    return urgent.deadlineAt <= head.arrival.at + patienceMs ? urgent : head;
  }

  push(job: Job<T, R>): void {
    job.place = this;
    if (job.deadlineAt === Infinity) this.#list.push(job);
    else (this.#heap ??= new DeadlineHeap()).push(job);
  }

  remove(job: Job<T, R>): void {
    job.place = undefined;
    if (job.deadlineAt === Infinity) this.#list.remove(job);
    else this.#heap?.remove(job);
  }

  /** Takes as many as that, or all there are, in order. */
  shiftInto(taken: Job<T, R>[], most: number): void {
    if (this.#heap?.first === undefined) return this.#list.shiftInto(taken, most);
    for (let left = most; left > 0; left--) {
      const { next } = this;
      if (next === undefined) return;
      this.remove(next);
      taken.push(next);
    }
  }

  leave(job: Job<T, R>): void {
    this.remove(job);
    this.#owner.onLeft(this);
  }
}

/** What a job costs its key: its bytes where they are known, or one. */
export function costOf<T, R>({ bytes }: Job<T, R>): number {
  return bytes > 1 ? bytes : 1;
}
