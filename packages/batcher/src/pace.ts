import type { BatchRecord } from "./controller.ts";

const remembered = 32;
const freshMs = 10_000;
const unknownRetryMs = 1_000;
const longestRetryMs = 60_000;

/** How fast calls went lately. Knows nothing after ten quiet seconds, so an old estimate cannot hold work back for ever. */
export class Pace {
  readonly #calls: BatchRecord[] = [];
  #oldest = 0;

  record(call: BatchRecord): void {
    if (call.succeeded === 0) return;
    if (this.#calls.length < remembered) {
      this.#calls.push(call);
      return;
    }
    this.#calls[this.#oldest] = call;
    this.#oldest = (this.#oldest + 1) % remembered;
  }

  /** The shortest recent call of no more items: what a batch of that size will take at least. 0 if unknown. */
  fastestMs(size: number, now: number): number {
    const durations = this.#fresh(now)
      .filter((call) => call.size <= size)
      .map(({ durationMs }) => durationMs);
    return durations.length === 0 ? 0 : Math.min(...durations);
  }

  /** When a queue of that many items will have drained, at the recent pace. */
  drainMs(queued: number, now: number): number {
    const fresh = this.#fresh(now);
    const items = fresh.reduce((sum, { succeeded }) => sum + succeeded, 0);
    const since = Math.min(...fresh.map(({ startedAtMs }) => startedAtMs));
    if (items === 0) return unknownRetryMs;
    const estimate = Math.ceil((queued * Math.max(now - since, 1)) / items);
    return Math.min(Math.max(estimate, 1), longestRetryMs);
  }

  #fresh(now: number): BatchRecord[] {
    return this.#calls.filter(
      ({ startedAtMs, durationMs }) => now - startedAtMs - durationMs < freshMs,
    );
  }
}

/** The pace of each, for as long as there is someone to ask for it. */
export class Paces<P extends WeakKey> {
  readonly #paces = new WeakMap<P, Pace>();

  record(party: P, call: BatchRecord): void {
    if (call.succeeded === 0) return;
    let pace = this.#paces.get(party);
    if (pace === undefined) this.#paces.set(party, (pace = new Pace()));
    pace.record(call);
  }

  fastestMs(party: P, size: number, now: number): number {
    return this.#paces.get(party)?.fastestMs(size, now) ?? 0;
  }
}
