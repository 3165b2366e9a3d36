import { DeadlineHeap } from "./deadline-heap.ts";
import type { Job } from "./job.ts";

/** An item without a deadline counts as due this long after its arrival, so that deadlines never starve it. */
export const patienceMs = 30_000;

/** The queued jobs of one key at one priority: a list for those without a deadline, a heap for those with one. */
export class FairBucket<T, R> {
  readonly key: string | undefined;
  #head: Job<T, R> | undefined = undefined;
  #tail: Job<T, R> | undefined = undefined;
  #heap: DeadlineHeap<T, R> | undefined = undefined;

  constructor(key: string | undefined) {
    this.key = key;
  }

  get empty(): boolean {
    return this.#head === undefined && this.#heap?.first === undefined;
  }

  push(job: Job<T, R>): void {
    if (job.deadlineAt === Infinity) {
      job.earlier = this.#tail;
      if (this.#tail === undefined) this.#head = job;
      else this.#tail.later = job;
      this.#tail = job;
      return;
    }
    this.#heap ??= new DeadlineHeap();
    this.#heap.push(job);
  }

  shift(): Job<T, R> | undefined {
    const head = this.#head;
    const first = this.#heap?.first;
    const urgent =
      first !== undefined &&
      (head === undefined || first.deadlineAt <= head.enqueuedAt + patienceMs);
    const job = urgent ? first : head;
    if (job !== undefined) this.remove(job);
    return job;
  }

  remove(job: Job<T, R>): void {
    if (job.heapIndex >= 0) {
      this.#heap?.remove(job);
      return;
    }
    if (job.earlier === undefined) this.#head = job.later;
    else job.earlier.later = job.later;
    if (job.later === undefined) this.#tail = job.earlier;
    else job.later.earlier = job.earlier;
    job.earlier = undefined;
    job.later = undefined;
  }
}
