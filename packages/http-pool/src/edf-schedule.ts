import type { Balancer, Candidate, PickRequest } from "./balancer.ts";

interface Entry<C> {
  readonly candidate: C;
  /** Breaks ties, so that the order is always the same. */
  readonly order: number;
  deadline: number;
}

/**
 * Earliest deadline first, as Envoy's `EdfScheduler`: a replica that was picked is due again after
 * `1 / weight`. Its order is that of nginx's smooth weighted round robin (each gets its share in every round,
 * spread evenly), in O(log n) a pick instead of O(n).
 */
export class EdfSchedule<C extends Candidate> implements Balancer<C> {
  /** A binary heap; the entry that is due first is the first. */
  readonly #heap: Entry<C>[] = [];
  readonly #weightOf: (candidate: C, nowMs: number) => number;
  #time = 0;

  constructor(weightOf: (candidate: C, nowMs: number) => number) {
    this.#weightOf = weightOf;
  }

  update(members: readonly C[], nowMs: number): void {
    const before = new Map(this.#heap.map(({ candidate, deadline }) => [candidate, deadline]));
    this.#heap.length = 0;
    for (const [order, candidate] of members.entries()) {
      const first = this.#time + 1 / this.#weightOf(candidate, nowMs);
      // One that was left out for a while does not make up for it.
      const deadline = Math.max(this.#time, before.get(candidate) ?? first);
      this.#push({ candidate, order, deadline });
    }
  }

  pick({ allows, nowMs }: PickRequest<C>): C | undefined {
    const passedOver: Entry<C>[] = [];
    let entry = this.#pop();
    for (; entry !== undefined && !allows(entry.candidate); entry = this.#pop())
      passedOver.push(entry);
    if (entry !== undefined) {
      this.#time = Math.max(this.#time, entry.deadline);
      entry.deadline = this.#time + 1 / this.#weightOf(entry.candidate, nowMs);
      this.#push(entry);
    }
    for (const other of passedOver) this.#push(other);
    return entry?.candidate;
  }

  #push(entry: Entry<C>): void {
    let index = this.#heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #pop(): Entry<C> | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    for (let index = 0; ;) {
      const left = 2 * index + 1;
      const child = this.#earlier(left + 1, left) ? left + 1 : left;
      if (!this.#swapIfEarlier(child, index)) return first;
      index = child;
    }
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    if (!this.#earlier(child, parent)) return false;
    const [a, b] = [this.#heap[child], this.#heap[parent]] as [Entry<C>, Entry<C>];
    this.#heap[child] = b;
    this.#heap[parent] = a;
    return true;
  }

  #earlier(index: number, other: number): boolean {
    const [a, b] = [this.#heap[index], this.#heap[other]];
    if (a === undefined || b === undefined) return false;
    return a.deadline === b.deadline ? a.order < b.order : a.deadline < b.deadline;
  }
}

/** Weighted round robin. */
export function rampedWeight(candidate: Candidate, nowMs: number): number {
  return candidate.weight * candidate.ramp(nowMs);
}

/** Envoy's least request with unequal weights: `weight / (active + 1) ^ bias`, with its default bias of 1. */
export function leastRequestWeight(candidate: Candidate, nowMs: number): number {
  return rampedWeight(candidate, nowMs) / (candidate.pending + 1);
}
