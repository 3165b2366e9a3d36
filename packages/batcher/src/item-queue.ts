import { FairBucket } from "./fair-bucket.ts";
import type { Job } from "./job.ts";

interface Level<T, R> {
  readonly priority: number;
  /** In turn order: the bucket served goes to the end. */
  readonly buckets: Map<string | undefined, FairBucket<T, R>>;
  /** When the level was last served, or became non-empty. */
  waitingSince: number;
}

/**
 * Queued jobs by priority (higher first, with ageing), then one of each key in turn, then earliest deadline, then arrival.
 * Any job leaves in O(1), or O(log n) if it has a deadline; nothing of it stays behind.
 */
export class ItemQueue<T, R> {
  #levels: Level<T, R>[] = [];
  #size = 0;
  #sequence = 0;

  get size(): number {
    return this.#size;
  }

  push(job: Job<T, R>): void {
    const level = this.#level(job.priority, job.enqueuedAt);
    let bucket = level.buckets.get(job.key);
    if (bucket === undefined) {
      bucket = new FairBucket(job.key);
      level.buckets.set(job.key, bucket);
    }
    job.queue = this;
    job.bucket = bucket;
    job.sequence = this.#sequence++;
    bucket.push(job);
    this.#size += 1;
  }

  remove(job: Job<T, R>): void {
    const level = this.#levels.find(({ priority }) => priority === job.priority);
    if (level === undefined || job.bucket === undefined) return;
    job.bucket.remove(job);
    if (job.bucket.empty) this.#discard(level, job.bucket);
    job.bucket = undefined;
    this.#size -= 1;
  }

  /** Takes up to `limit` jobs. A level that waited `ageingMs` counts as one priority higher, and so on, until it is served. */
  take(limit: number, now: number, ageingMs: number): Job<T, R>[] {
    const taken: Job<T, R>[] = [];
    const rank = (level: Level<T, R>): number =>
      level.priority + Math.floor((now - level.waitingSince) / ageingMs);
    const levels =
      this.#levels.length === 1
        ? [...this.#levels]
        : this.#levels.toSorted((one, other) => rank(other) - rank(one));
    for (const level of levels) {
      if (taken.length >= limit) break;
      this.#drain(level, limit, taken);
      level.waitingSince = now;
    }
    this.#size -= taken.length;
    return taken;
  }

  #drain(level: Level<T, R>, limit: number, taken: Job<T, R>[]): void {
    for (const [key, bucket] of level.buckets) {
      do {
        const job = bucket.shift();
        if (job === undefined) break;
        job.bucket = undefined;
        taken.push(job);
      } while (level.buckets.size === 1 && taken.length < limit);
      level.buckets.delete(key);
      if (!bucket.empty) level.buckets.set(key, bucket);
      if (taken.length >= limit) break;
    }
    if (level.buckets.size === 0) this.#levels = this.#levels.filter((other) => other !== level);
  }

  #level(priority: number, now: number): Level<T, R> {
    for (const level of this.#levels) if (level.priority === priority) return level;
    const level = { priority, buckets: new Map(), waitingSince: now };
    this.#levels.push(level);
    this.#levels.sort((one, other) => other.priority - one.priority);
    return level;
  }

  #discard(level: Level<T, R>, bucket: FairBucket<T, R>): void {
    level.buckets.delete(bucket.key);
    if (level.buckets.size === 0) this.#levels = this.#levels.filter((other) => other !== level);
  }
}
