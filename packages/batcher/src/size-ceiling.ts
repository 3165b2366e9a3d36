const firstProbeMs = 30_000;
const shortestProbeMs = 1_000;
const longestProbeMs = 600_000;
const forgottenAbove = 1_000_000;
/** Time-outs in a row that say something of a size that passed before; of any other the first one does. */
const timeoutsOfProvenSize = 3;
/** The same for calls that failed as a whole, which may be for their items. */
const failuresOfNewSize = 3;
const failuresOfProvenSize = 12;
/** A call that took less than this share of the time-out says that twice its size is in time too, even at a cost of n squared. */
const easily = 0.25;

/**
 * What is known about sizes that fail. After a refusal the ceiling is half of that size, or the largest size that passed if that
 * is more. Twice as much may be tried after 30 s; that pause doubles, up to 10 minutes, each time the larger size is refused, and
 * halves, down to 1 s, each time it passes.
 *
 * A time-out or a failure may have another cause than the size: a hang, an outage, a bad item. What it took away comes back by
 * doubling at once, call by call, where a call that passes says so: it was far from the time-out, or sizes failed down to where
 * nothing was left to blame on them. When that fails too, the size was the cause, and the pauses hold.
 *
 * A call of one item says nothing about sizes. Reading changes nothing: time matters through what is passed in.
 */
export class SizeCeiling {
  #size = Infinity;
  #refused = Infinity;
  #passed = 0;
  #timeouts = 0;
  #failures = 0;
  /** The size that failed last. */
  #failed = 0;
  #probeMs = firstProbeMs;
  #probeAt = 0;
  /** The size is the cause for certain. */
  #firm = false;
  /** On its way back up, call by call. */
  #climbing = false;
  /** A pass shorter than this lets it climb. */
  #easyMs = 0;
  /** How often it came down for failed calls since a full call passed. */
  #steps = 0;

  /** The largest size that passed. */
  get passed(): number {
    return this.#passed;
  }

  /** The largest size without what may be tried after a pause. */
  get settled(): number {
    return this.#size;
  }

  /** The largest size that may be tried now. */
  at(now: number): number {
    return this.#size === Infinity || now < this.#probeAt ? this.#size : doubled(this.#size);
  }

  /** The smallest size known to be refused: to try one between the ceiling and it is a risk worth taking deliberately. */
  refusedAt(now: number): number {
    return this.at(now) >= this.#refused ? Infinity : this.#refused;
  }

  pass(size: number, now: number, durationMs: number): void {
    this.#timeouts = 0;
    if (size >= this.#failed) this.#failures = 0;
    this.#passed = Math.max(this.#passed, size);
    if (size < this.#size) return;
    if (size > this.#size) {
      if (now >= this.#probeAt) this.#probeMs = Math.max(this.#probeMs / 2, shortestProbeMs);
      this.#probeAt = now + this.#probeMs;
    }
    this.#steps = 0;
    this.#climbing = !this.#firm && durationMs < this.#easyMs;
    this.#size = this.#climbing ? doubled(size) : size;
    if (this.#size >= this.#refused) this.#refused = Infinity;
  }

  /** `limit`: what the server says it takes. */
  refuse(size: number, now: number, limit?: number): void {
    if (size > 1) this.#lower(size, now, { limit });
  }

  timeout(size: number, now: number, timeoutMs: number): void {
    this.#timeouts += 1;
    const proven = size <= this.#passed;
    if (size <= 1 || (proven && this.#timeouts < timeoutsOfProvenSize)) return;
    this.#lower(size, now, { easyMs: timeoutMs * easily });
  }

  /** A full batch failed as a whole: for an item in it, or for its size. */
  suspect(size: number, now: number): void {
    if (size <= 1) return;
    this.#failures += 1;
    this.#failed = size;
    const enough = size > this.#passed ? failuresOfNewSize : failuresOfProvenSize;
    if (this.#failures < enough) return;
    if (size <= this.#size) this.#steps += 1;
    this.#lower(size, now, { easyMs: this.#steps > 1 ? Infinity : 0 });
  }

  /** Without `easyMs` it was the size for certain. */
  #lower(size: number, now: number, why: { limit?: number | undefined; easyMs?: number }): void {
    const { easyMs, limit } = why;
    const refused = this.refusedAt(now);
    this.#timeouts = 0;
    this.#failures = 0;
    if (size <= this.#size) {
      this.#firm = easyMs === undefined || this.#climbing;
      this.#easyMs = easyMs ?? 0;
      this.#probeMs = Math.max(this.#probeMs, firstProbeMs);
    } else if (now >= this.#probeAt)
      this.#probeMs = Math.min(Math.max(this.#probeMs * 2, firstProbeMs), longestProbeMs);
    this.#probeAt = now + this.#probeMs;
    this.#climbing = false;
    if (this.#passed >= size) this.#passed = size >> 1;
    this.#refused = limit === undefined ? Math.min(size, refused) : limit + 1;
    const next = limit ?? Math.max(size >> 1, this.#passed);
    this.#size = Math.max(1, Math.min(this.#size, next));
  }
}

function doubled(size: number): number {
  return size * 2 > forgottenAbove ? Infinity : size * 2;
}
