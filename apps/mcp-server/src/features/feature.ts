/** What every optimisation offers beside the service that it provides. */
export interface Feature extends AsyncDisposable {
  stats(): object;
  /** Components that a metrics collector can read. */
  readonly collectables: readonly Collectable[];
  /** Frees what no call under way needs; it was replaced. */
  free?(): Promise<void>;
  /** Ends in peace what outlasts the calls, before it is disposed. */
  finish?(): Promise<void>;
}

/** Structural, as every package of the workspace offers it. */
export interface Collectable {
  metricFamilies(): readonly object[];
}

export const off: Feature = {
  stats: () => ({ feature: "off" }),
  collectables: [],
  [Symbol.asyncDispose]: async () => {},
};
