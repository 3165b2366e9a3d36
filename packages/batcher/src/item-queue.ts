import { costOf, FairBucket } from "./fair-bucket.ts";
import type { BucketOwner } from "./fair-bucket.ts";
import type { Job } from "./job.ts";

interface Level<T, R> {
  readonly priority: number;
  /** In turn order: the bucket served goes to the end. */
  readonly buckets: Map<string | undefined, FairBucket<T, R>>;
  /** The bucket that was pushed to last. */
  recent: FairBucket<T, R> | undefined;
  /** The most that a job has cost since the level was empty. */
  quantum: number;
  /** When the level was last served, or became non-empty. */
  waitingSince: number;
}

/**
 * Queued jobs by priority (higher first, with ageing), then keys in turn, then earliest deadline, then arrival. Turns are
 * "deficit round robin" (Shreedhar and Varghese, 1995): what a key may take in its turn is as much as the costliest job.
 * Any job leaves in O(1), or O(log n) if it has a deadline; nothing of it stays behind.
 */
export class ItemQueue<T, R> implements BucketOwner<T, R> {
  #levels: Level<T, R>[] = [];
  #size = 0;
  #sequence = 0;

  get size(): number {
    return this.#size;
  }

  push(job: Job<T, R>): void {
    const level = this.#level(job);
    const cost = costOf(job);
    if (cost > level.quantum) level.quantum = cost;
    if (job.terms !== undefined) job.terms.sequence = this.#sequence++;
    this.#bucket(level, job.key).push(job);
    this.#size += 1;
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

  /** A job left its bucket on its own. */
  onLeft(bucket: FairBucket<T, R>): void {
    this.#size -= 1;
    if (!bucket.empty) return;
    const level = this.#levels.find(({ priority }) => priority === bucket.priority);
    if (level !== undefined) this.#discard(level, bucket);
  }

  #drain(level: Level<T, R>, limit: number, taken: Job<T, R>[]): void {
    for (const bucket of level.buckets.values()) {
      if (level.buckets.size === 1) bucket.shiftInto(taken, limit - taken.length);
      else {
        if (!bucket.inTurn) bucket.credit += level.quantum;
        bucket.credit -= takeFrom(bucket, bucket.credit, limit, taken);
        const { next } = bucket;
        // The batch is full in the middle of a turn: the next batch goes on with it.
        bucket.inTurn = next !== undefined && costOf(next) <= bucket.credit;
      }
      if (bucket.empty) this.#discard(level, bucket);
      else if (!bucket.inTurn) {
        level.buckets.delete(bucket.key);
        level.buckets.set(bucket.key, bucket);
      }
      if (taken.length >= limit) return;
    }
  }

  #level({ priority, arrival }: Job<T, R>): Level<T, R> {
    for (const level of this.#levels) if (level.priority === priority) return level;
    const level: Level<T, R> = {
      priority,
      buckets: new Map(),
      recent: undefined,
      quantum: 1,
      waitingSince: arrival.at,
    };
    this.#levels.push(level);
    this.#levels.sort((one, other) => other.priority - one.priority);
    return level;
  }

  #bucket(level: Level<T, R>, key: string | undefined): FairBucket<T, R> {
    if (level.recent !== undefined && level.recent.key === key) return level.recent;
    let bucket = level.buckets.get(key);
    if (bucket === undefined) {
      bucket = new FairBucket(key, level.priority, this);
      level.buckets.set(key, bucket);
    }
    level.recent = bucket;
    return bucket;
  }

  #discard(level: Level<T, R>, bucket: FairBucket<T, R>): void {
    level.buckets.delete(bucket.key);
    if (level.recent === bucket) level.recent = undefined;
    if (level.buckets.size === 0) this.#levels = this.#levels.filter((other) => other !== level);
  }
}

/** Takes what the credit and the limit allow; returns what it cost. */
function takeFrom<T, R>(
  bucket: FairBucket<T, R>,
  credit: number,
  limit: number,
  taken: Job<T, R>[],
): number {
  let spent = 0;
  while (taken.length < limit) {
    const { next } = bucket;
    if (next === undefined || spent + costOf(next) > credit) break;
    bucket.remove(next);
    taken.push(next);
    spent += costOf(next);
  }
  return spent;
}
