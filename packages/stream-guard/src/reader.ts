import { fn } from "./options.ts";

/**
 * Why bytes wait. `blocked`: the reader does not take them. `holding`: a consumer works on them, or
 * has forgotten them. `behind`: they wait for another response on their connection, which may be
 * slow for good reasons.
 */
export type ReaderWait = "blocked" | "holding" | "behind";

/** Whoever takes what a session holds. Looked at by the guard's sweeps; both methods must be O(1). */
export interface Reader {
  /** Bytes that wait for the reader now. */
  heldBytes(): number;
  /** A number that changes when the reader takes something, and at no other time. */
  taken(): number;
  /** `blocked` when absent. */
  wait?(): ReaderWait;
  /** Called in place of closing the session: gives back, at once, what the reader holds. */
  giveUp?(stall: Stall): void;
}

/** How long a reader has taken nothing while bytes waited. */
export interface Stall {
  readonly wait: ReaderWait;
  readonly stalledMs: number;
  readonly heldBytes: number;
  /** When present: ends what stalled, in place of its session. */
  readonly giveUp: (() => void) | undefined;
}

/** Compares a reader with what it was when last looked at, so that what it takes costs no clock. */
export class ReaderWatch {
  readonly #reader: Reader;
  #taken: number | undefined;
  #sinceMs = 0;

  /** @throws InvalidArgumentError */
  constructor(reader: Reader) {
    const { heldBytes, taken } = ((reader as unknown) ?? {}) as Record<string, unknown>;
    fn("reader.heldBytes", heldBytes);
    fn("reader.taken", taken);
    this.#reader = reader;
  }

  /** `clockMs` must count only time in which the reader could have been served. */
  look(clockMs: number): Stall | undefined {
    const heldBytes = this.#reader.heldBytes();
    const taken = this.#reader.taken();
    if (!(heldBytes > 0) || taken !== this.#taken) {
      this.#taken = taken;
      this.#sinceMs = clockMs;
      return undefined;
    }
    const wait = this.#reader.wait?.() ?? "blocked";
    const stalledMs = clockMs - this.#sinceMs;
    const stall: Stall = { wait, stalledMs, heldBytes, giveUp: undefined };
    if (this.#reader.giveUp === undefined) return stall;
    return { ...stall, giveUp: () => this.#reader.giveUp?.(stall) };
  }
}
