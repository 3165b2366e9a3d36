import { LinkedList } from "./linked-list.ts";
import type { LinkedNode } from "./linked-list.ts";
import type { Schedule } from "./schedule.ts";

/** A timer that comes later than this is a sign that this process stood still, not the upstream. */
const LATE_MS = 20;
const MAX_DEFERRALS = 5;
/** Load of an upstream whose requests may all take long; it must bear comparison with one that is busy. */
const MAX_SILENCE_MS = 1000;

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
  /** Those that are silent for as long as they like, in the order in which they were sent. */
  readonly #patient = new LinkedList<T>();
  #heardAt = -Infinity;
  #dueAt = 0;
  #deferrals = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(owner: HangWatchOwner<T>) {
    this.#owner = owner;
  }

  /** A patient one is part of the silence, but never hangs: nothing can be done for it elsewhere. */
  add(node: LinkedNode<T>, patient = false): void {
    if (patient) this.#patient.append(node);
    else {
      this.#waiting.append(node);
      this.#arm();
    }
  }

  remove(node: LinkedNode<T>, patient = false): void {
    if (patient) this.#patient.remove(node);
    else this.#waiting.remove(node);
  }

  /** An answer came, to whichever request. */
  heard(): void {
    this.#heardAt = this.#owner.now();
  }

  /**
   * How long the one that waits longest has waited; 0 when none does. Patient ones may take long while others
   * are answered, so that only the silence since the last answer counts for them, up to a limit.
   */
  oldestAgeMs(nowMs: number): number {
    const { first } = this.#waiting;
    const ageMs = first === undefined ? 0 : nowMs - first.startedAt;
    const patient = this.#patient.first;
    if (patient === undefined) return ageMs;
    const silentMs = nowMs - Math.max(patient.startedAt, this.#heardAt);
    return Math.max(ageMs, Math.min(silentMs, MAX_SILENCE_MS));
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
