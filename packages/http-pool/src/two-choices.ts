import type { Balancer, Candidate, PickRequest } from "./balancer.ts";

/** Draws that miss before every replica is looked at. */
const MAX_DRAWS = 8;

/**
 * The better of two replicas drawn at random (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001). A replica is drawn as often as its weight says, and seldom while it starts slowly.
 * A draw is O(log n).
 */
export class TwoChoices<C extends Candidate> implements Balancer<C> {
  readonly #random: () => number;
  /** The lower the better; with equal loads the first drawn is taken. */
  readonly #loadOf: (candidate: C, nowMs: number) => number;
  #members: readonly C[] = [];
  /** Sums of the weights up to each member. */
  #sums: number[] = [];

  constructor(random: () => number, loadOf: (candidate: C, nowMs: number) => number) {
    this.#random = random;
    this.#loadOf = loadOf;
  }

  update(members: readonly C[]): void {
    this.#members = members;
    let total = 0;
    this.#sums = members.map(({ weight }) => (total += weight));
  }

  pick(request: PickRequest<C>): C | undefined {
    const drawn = this.#draw(request, undefined);
    const first = drawn === undefined ? this.#search(request) : this.#members[drawn];
    if (first === undefined || drawn === undefined || this.#members.length === 1) return first;
    const second = this.#members[this.#draw(request, drawn) ?? drawn] ?? first;
    const { nowMs } = request;
    return this.#loadOf(second, nowMs) < this.#loadOf(first, nowMs) ? second : first;
  }

  /** The index of a member other than `other`. */
  #draw({ allows, nowMs }: PickRequest<C>, other: number | undefined): number | undefined {
    for (let draws = 0; draws < MAX_DRAWS; draws += 1) {
      const index = this.#chance(other);
      const drawn = this.#members[index];
      if (drawn === undefined) return undefined;
      if (!allows(drawn)) continue;
      const ramp = drawn.ramp(nowMs);
      if (ramp >= 1 || this.#random() < ramp) return index;
    }
    return undefined;
  }

  #chance(other: number | undefined): number {
    const total = this.#sums.at(-1) ?? 0;
    if (other === undefined) return this.#indexOf(this.#random() * total);
    const end = this.#sums[other] ?? 0;
    const start = other === 0 ? 0 : (this.#sums[other - 1] ?? 0);
    const value = this.#random() * (total - (end - start));
    return this.#indexOf(value < start ? value : value + (end - start));
  }

  /** The first member whose sum is greater than `value`. */
  #indexOf(value: number): number {
    let low = 0;
    let high = this.#sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sums[middle] ?? 0) > value) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Almost none is allowed, so that chance does not find it. */
  #search({ allows }: PickRequest<C>): C | undefined {
    const start = Math.floor(this.#random() * this.#members.length);
    const turned = [...this.#members.slice(start), ...this.#members.slice(0, start)];
    return turned.find((member) => allows(member));
  }
}

/** Finagle's load: the expected time to the first byte, once for each request that shares the replica. */
export function peakEwmaLoad(candidate: Candidate, nowMs: number): number {
  return candidate.costMs(nowMs) * (1 + candidate.pending / candidate.weight);
}

export function pendingLoad({ pending, weight }: Candidate): number {
  return pending / weight;
}
