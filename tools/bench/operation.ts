/** Something a package does all the time. */
export interface Operation {
  /** In one count; a multiple of 20. */
  readonly iterations: number;
  readonly run: (iterations: number) => void | Promise<void>;
}

/** What `packages/NAME/bench/gate.ts` exports. */
export interface GateModule {
  readonly operations: Readonly<Record<string, Operation>>;
}
