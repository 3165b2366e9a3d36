import type { Balancer, Candidate, PickRequest } from "./balancer.ts";
import { EdfSchedule, leastRequestWeight } from "./edf-schedule.ts";
import { pendingLoad, TwoChoices } from "./two-choices.ts";

/**
 * Envoy's least request: the better of two choices while all weights are equal, otherwise a schedule in which
 * requests under way divide the weight.
 */
export class LeastRequest<C extends Candidate> implements Balancer<C> {
  readonly #equal: TwoChoices<C>;
  readonly #unequal: EdfSchedule<C>;
  #weighted = false;

  constructor(random: () => number) {
    this.#equal = new TwoChoices<C>(random, pendingLoad);
    this.#unequal = new EdfSchedule<C>(leastRequestWeight);
  }

  update(members: readonly C[], nowMs: number): void {
    this.#weighted = members.some(({ weight }) => weight !== members[0]?.weight);
    this.#equal.update(members);
    this.#unequal.update(this.#weighted ? members : [], nowMs);
  }

  pick(request: PickRequest<C>): C | undefined {
    return (this.#weighted ? this.#unequal : this.#equal).pick(request);
  }
}
