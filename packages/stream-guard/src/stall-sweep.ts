import type { Stall } from "./reader.ts";
import { safely } from "./safe-emit.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface StallLimits {
  readonly pressureStallTimeoutMs: number;
  readonly now: () => number;
}

export interface StalledSession {
  readonly session: StreamingSession;
  readonly stall: Stall;
  /** Beyond the session's own timeout; the others are only to give way under pressure. */
  readonly overdue: boolean;
}

/** Part of the grace that one look may use up when the process itself was held up before it. */
const LATE_RATIO = 0.25;
/** A look this much later than planned means that the process was held up, and its readers with it. */
const LATE_FACTOR = 1.5;

/** Finds the sessions whose readers take nothing. */
export class StallSweep {
  readonly #pressureMs: number;
  readonly #now: () => number;
  /** Time in which readers could have been served. */
  #clockMs = 0;
  #lookedAt: number;

  constructor({ pressureStallTimeoutMs, now }: StallLimits) {
    this.#pressureMs = pressureStallTimeoutMs;
    this.#now = now;
    this.#lookedAt = now();
  }

  /** The longest stalled first. `plannedMs` is the longest that should lie between two looks. */
  look(sessions: Iterable<StreamingSession>, plannedMs: number): readonly StalledSession[] {
    this.#tick(plannedMs);
    const found: StalledSession[] = [];
    for (const session of sessions) {
      const stall = this.#lookAt(session);
      if (stall === undefined) continue;
      const overdue = stall.wait !== "behind" && stall.stalledMs >= session.stallTimeoutMs;
      const graceMs = stall.wait === "blocked" ? this.#pressureMs : session.stallTimeoutMs;
      if (overdue || stall.stalledMs >= graceMs) found.push({ session, stall, overdue });
    }
    return found.toSorted((a, b) => b.stall.stalledMs - a.stall.stalledMs);
  }

  /** A reader that throws is not known to have stalled. */
  #lookAt(session: StreamingSession): Stall | undefined {
    let stall: Stall | undefined;
    safely(() => {
      stall = session.lookAtReaders(this.#clockMs);
    });
    return stall;
  }

  #tick(plannedMs: number): void {
    const at = this.#now();
    const elapsedMs = Math.max(0, at - this.#lookedAt);
    this.#lookedAt = at;
    const heldUp = elapsedMs > plannedMs * LATE_FACTOR;
    this.#clockMs += heldUp ? Math.min(elapsedMs, this.#pressureMs * LATE_RATIO) : elapsedMs;
  }
}
