import { LinkedList } from "./linked-list.ts";
import type { LinkedNode } from "./linked-list.ts";
import type { Schedule } from "./schedule.ts";

/** A timer that comes later than this is a sign that this process stood still, not the upstream. */
const LATE_MS = 20;
const MAX_DEFERRALS = 5;

export interface Watched {
  readonly startedAt: number;
}

export interface HangWatchOwner<T> {
  readonly now: () => number;
  readonly schedule: Schedule;
  /** Silence that is too long, in milliseconds; Infinity switches it off. */
  limitMs(): number;
  /** Nothing was heard for so long; these wait, and are not watched any more. */
  hung(waiting: readonly T[]): void;
}

/**
 * Notices that an upstream accepts requests and says nothing any more: the oldest one that waits for an
 * answer is too old, and no other was answered since. One timer an upstream, at most.
 */
export class HangWatch<T extends Watched> {
  readonly #owner: HangWatchOwner<T>;
  /** In the order in which they were sent. */
  readonly #waiting = new LinkedList<T>();
  #heardAt = -Infinity;
  #dueAt = 0;
  #deferrals = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(owner: HangWatchOwner<T>) {
    this.#owner = owner;
  }

  add(node: LinkedNode<T>): void {
    this.#waiting.append(node);
    this.#arm();
  }

  remove(node: LinkedNode<T>): void {
    this.#waiting.remove(node);
  }

  /** An answer came, to whichever request. */
  heard(): void {
    this.#heardAt = this.#owner.now();
  }

  /** How long the one that waits longest has waited; 0 when none does. */
  oldestAgeMs(nowMs: number): number {
    const { first } = this.#waiting;
    return first === undefined ? 0 : nowMs - first.startedAt;
  }

  [Symbol.dispose](): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  get #silentSince(): number | undefined {
    const { first } = this.#waiting;
    return first && Math.max(first.startedAt, this.#heardAt);
  }

  #arm(): void {
    if (this.#cancelTimer !== undefined) return;
    const since = this.#silentSince;
    const limitMs = this.#owner.limitMs();
    if (since === undefined || limitMs === Infinity) return;
    this.#sleep(Math.max(1, since + limitMs - this.#owner.now()));
  }

  #sleep(delayMs: number): void {
    this.#dueAt = this.#owner.now() + delayMs;
    this.#cancelTimer = this.#owner.schedule(() => {
      this.#cancelTimer = undefined;
      this.#check();
    }, delayMs);
  }

  #check(): void {
    const now = this.#owner.now();
    // Answers that came while this process stood still have not been read yet.
    if (now - this.#dueAt > LATE_MS && this.#deferrals < MAX_DEFERRALS) {
      this.#deferrals += 1;
      this.#sleep(LATE_MS / 2);
      return;
    }
    this.#deferrals = 0;
    const since = this.#silentSince;
    if (since !== undefined && now - since >= this.#owner.limitMs()) {
      this.#owner.hung(this.#waiting.clear());
    }
    this.#arm();
  }
}
