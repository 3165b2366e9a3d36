/** What a balancer knows of a replica. */
export interface Candidate {
  /** Greater than 0. */
  readonly weight: number;
  /** Requests under way, without streams. */
  readonly pending: number;
  /** How long the next answer may take to begin. */
  costMs(nowMs: number): number;
  /** Part of its weight that counts, greater than 0: less than 1 while it starts slowly. */
  ramp(nowMs: number): number;
}

export interface PickRequest<C> {
  readonly nowMs: number;
  /** False for a replica that this request must not go to. */
  allows(candidate: C): boolean;
}

/** Chooses among replicas that are all fit. */
export interface Balancer<C extends Candidate> {
  /** The replicas from now on; those that stay keep their place. */
  update(members: readonly C[], nowMs: number): void;
  /** Undefined when none is allowed. */
  pick(request: PickRequest<C>): C | undefined;
}
