import type { Job } from "./job.ts";

const worthCompacting = 64;

/** First in, first out; any job leaves in O(1), amortised, and is not held any longer. */
export class JobList<T, R> {
  #jobs: (Job<T, R> | undefined)[] = [];
  /** What a job's position counts from. */
  #base = 0;
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Job<T, R> | undefined {
    if (this.#size === 0) return undefined;
    while (this.#jobs[this.#head] === undefined) this.#head += 1;
    return this.#jobs[this.#head];
  }

  push(job: Job<T, R>): void {
    job.position = this.#base + this.#jobs.length;
    this.#jobs.push(job);
    this.#size += 1;
  }

  remove(job: Job<T, R>): void {
    this.#jobs[job.position - this.#base] = undefined;
    this.#size -= 1;
    this.#tidy();
  }

  /** Moves as many as that, or all there are, to the end of `taken`. */
  shiftInto(taken: Job<T, R>[], most: number): void {
    const count = Math.min(most, this.#size);
    for (let left = count; left > 0; this.#head++) {
      const job = this.#jobs[this.#head];
      if (job === undefined) continue;
      this.#jobs[this.#head] = undefined;
      job.place = undefined;
      taken.push(job);
      left -= 1;
    }
    this.#size -= count;
    this.#tidy();
  }

  #tidy(): void {
    if (this.#size === 0) this.#clear();
    else if (this.#jobs.length > worthCompacting && this.#size < this.#jobs.length >> 1)
      this.#compact();
  }

  #clear(): void {
    this.#base += this.#jobs.length;
    if (this.#jobs.length > 0) this.#jobs = [];
    this.#head = 0;
  }

  #compact(): void {
    const left = this.#jobs.filter((job) => job !== undefined);
    this.#clear();
    for (const job of left) job.position = this.#base + this.#jobs.push(job) - 1;
  }
}
