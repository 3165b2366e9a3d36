import type { Job } from "./job.ts";

/** Earliest deadline first, first come first among equals. Jobs know their position, so any of them leaves in O(log n). */
export class DeadlineHeap<T, R> {
  readonly #jobs: Job<T, R>[] = [];

  get first(): Job<T, R> | undefined {
    return this.#jobs[0];
  }

  push(job: Job<T, R>): void {
    this.#jobs.push(job);
    this.#rise(job, this.#jobs.length - 1);
  }

  remove(job: Job<T, R>): void {
    const index = job.position;
    const last = this.#jobs.pop();
    if (last === undefined || last === job) return;
    this.#sink(last, index);
    this.#rise(last, last.position);
  }

  #rise(job: Job<T, R>, from: number): void {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#jobs[parentIndex];
      if (parent === undefined || !precedes(job, parent)) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(job, index);
  }

  #sink(job: Job<T, R>, from: number): void {
    let index = from;
    for (;;) {
      const left = this.#jobs[2 * index + 1];
      const right = this.#jobs[2 * index + 2];
      const child =
        right !== undefined && left !== undefined && precedes(right, left) ? right : left;
      if (child === undefined || !precedes(child, job)) break;
      const next = child.position;
      this.#place(child, index);
      index = next;
    }
    this.#place(job, index);
  }

  #place(job: Job<T, R>, index: number): void {
    this.#jobs[index] = job;
    job.position = index;
  }
}

function precedes<T, R>(one: Job<T, R>, other: Job<T, R>): boolean {
  return one.deadlineAt === other.deadlineAt
    ? sequenceOf(one) < sequenceOf(other)
    : one.deadlineAt < other.deadlineAt;
}

function sequenceOf<T, R>({ terms }: Job<T, R>): number {
  return terms?.sequence ?? 0;
}
