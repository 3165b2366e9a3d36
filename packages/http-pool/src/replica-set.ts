import type { Balancer, PickRequest } from "./balancer.ts";
import { EdfSchedule, rampedWeight } from "./edf-schedule.ts";
import type { ResolvedGroupOptions } from "./group-options.ts";
import { LeastRequest } from "./least-request.ts";
import type { Replica } from "./replica.ts";
import { peakEwmaLoad, TwoChoices } from "./two-choices.ts";

/** Envoy's: one zone carries everything while this times its healthy share is at least 1. */
const OVERPROVISIONING = 1.4;

type SetOptions = Pick<
  ResolvedGroupOptions,
  "balance" | "zone" | "panicThreshold" | "random" | "now"
>;

/** The members of a group, and which of them may be chosen now. */
export class ReplicaSet {
  readonly #options: SetOptions;
  readonly #onPanic: (active: boolean, usable: number, members: number) => void;
  readonly #members = new Map<string, Replica>();
  readonly #near: Balancer<Replica>;
  readonly #far: Balancer<Replica>;
  /** Part of the requests that stays in the group's own zone. */
  #nearShare = 1;
  #usable = 0;
  #panic = false;

  constructor(
    options: SetOptions,
    onPanic: (active: boolean, usable: number, members: number) => void,
  ) {
    this.#options = options;
    this.#onPanic = onPanic;
    this.#near = createBalancer(options);
    this.#far = createBalancer(options);
  }

  get all(): readonly Replica[] {
    return [...this.#members.values()];
  }

  get size(): number {
    return this.#members.size;
  }

  get usable(): number {
    return this.#usable;
  }

  /** Too few are fit, so that those that are not are used too. */
  get panic(): boolean {
    return this.#panic;
  }

  get(upstream: string): Replica | undefined {
    return this.#members.get(upstream);
  }

  add(replica: Replica): void {
    this.#members.set(replica.upstream, replica);
    this.changed();
  }

  delete(replica: Replica): void {
    this.#members.delete(replica.upstream);
    this.changed();
  }

  /** Whether a request may go to this member now, however it was found. */
  takes(replica: Replica): boolean {
    return (this.#panic ? !replica.draining : replica.fit) && replica.circuit.admits;
  }

  /** To be called after each change of a member. */
  changed(): void {
    const now = this.#options.now();
    const members = this.all.filter(({ draining }) => !draining);
    const fit = members.filter((replica) => replica.fit);
    for (const replica of this.all)
      replica.unfitSince = replica.fit ? undefined : (replica.unfitSince ?? now);
    // One on trial is fit, but nobody can rely on it yet.
    const usable = fit.filter(({ circuit }) => circuit.state === "closed").length;
    const panic = usable < members.length * this.#options.panicThreshold;
    const before = this.#panic;
    this.#usable = usable;
    this.#panic = panic;
    const chosen = panic ? members.filter(({ circuit }) => circuit.state !== "open") : fit;
    this.#divide(members, chosen, now);
    if (panic !== before) this.#onPanic(panic, usable, members.length);
  }

  pick(request: PickRequest<Replica>): Replica | undefined {
    const nearFirst = this.#nearShare >= 1 || this.#options.random() < this.#nearShare;
    const [first, second] = nearFirst ? [this.#near, this.#far] : [this.#far, this.#near];
    return first.pick(request) ?? second.pick(request);
  }

  #divide(members: readonly Replica[], chosen: readonly Replica[], now: number): void {
    const { zone } = this.#options;
    const isNear = (replica: Replica): boolean => zone === undefined || replica.zone === zone;
    const near = chosen.filter(isNear);
    this.#near.update(near, now);
    this.#far.update(
      chosen.filter((replica) => !isNear(replica)),
      now,
    );
    const all = weightOf(members.filter(isNear));
    this.#nearShare = all === 0 ? 0 : (OVERPROVISIONING * weightOf(near)) / all;
  }
}

function createBalancer({ balance, random }: SetOptions): Balancer<Replica> {
  if (balance === "round-robin") return new EdfSchedule<Replica>(rampedWeight);
  if (balance === "peak-ewma") return new TwoChoices<Replica>(random, peakEwmaLoad);
  // Requests without a key have no upstream of their own.
  return new LeastRequest<Replica>(random);
}

function weightOf(replicas: readonly Replica[]): number {
  return replicas.reduce((total, { weight }) => total + weight, 0);
}
