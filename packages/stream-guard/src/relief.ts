import { ReaderStalledError } from "./errors.ts";
import type { EvictReason } from "./guard-counts.ts";
import type { Ledger } from "./ledger.ts";
import type { MemoryLevel } from "./level.ts";
import { safely } from "./safe-emit.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { StalledSession, StallSweep } from "./stall-sweep.ts";
import type { StreamingSession } from "./streaming-session.ts";

/** A session that is about to give way under pressure. */
export interface Eviction {
  readonly session: StreamingSession;
  readonly reason: EvictReason;
  /** Since the last completed operation, or since its reader last took something. */
  readonly idleMs: number;
  readonly error: ReaderStalledError | undefined;
}

export interface ReliefOptions {
  readonly sessions: SessionRegistry;
  readonly ledger: Ledger;
  readonly stalls: StallSweep;
  readonly evictAfterIdleMs: number;
  readonly now: () => number;
  readonly level: () => MemoryLevel;
  /** The longest that lies between the last look at the readers and this one, as planned. */
  readonly plannedMs: () => number;
  /** When it is worth looking again after nothing was found. */
  readonly againAfterMs: Readonly<Record<EvictReason, () => number>>;
  readonly evict: (eviction: Eviction) => void;
}

/** Makes room by closing sessions: those whose readers stalled before those that are merely idle. */
export class Relief {
  readonly #options: ReliefOptions;
  /** Nothing to be found before these, so that refusals do not search all sessions each time. */
  readonly #nothingUntil: Record<EvictReason, number> = {
    idle: Number.NEGATIVE_INFINITY,
    stalled: Number.NEGATIVE_INFINITY,
  };

  constructor(options: ReliefOptions) {
    this.#options = options;
  }

  /** Tries to make room for `bytes`; never at the cost of `asking`. False when nobody gave way. */
  makeRoom(asking: StreamingSession, bytes: number): boolean {
    const at = this.#options.now();
    const worthIt = at >= this.#nothingUntil.stalled;
    const stalled = worthIt && this.closeStalled(bytes, asking);
    if (!stalled && worthIt) this.#nothingFound("stalled", at);
    return this.evictIdle(bytes, asking) || stalled;
  }

  /** After a sweep there may be somebody again. */
  lookAgain(at: number): void {
    this.#nothingUntil.idle = at;
    this.#nothingUntil.stalled = at;
  }

  /** Closes sessions whose readers stalled: those beyond their timeout, and under pressure others until it ends. */
  closeStalled(bytes: number, asking?: StreamingSession): boolean {
    const { sessions, ledger, stalls, plannedMs } = this.#options;
    let closed = false;
    for (const stalled of stalls.look([...sessions], plannedMs())) {
      const pressed = this.#pressed || !ledger.fits(bytes);
      const { session, overdue } = stalled;
      if (session === asking || session.closed || !(overdue || pressed)) continue;
      this.#closeOne(stalled);
      closed = true;
    }
    return closed;
  }

  /** Closes idle sessions, longest idle first, until the guard leaves `critical` and `bytes` fit. */
  evictIdle(bytes: number, asking?: StreamingSession): boolean {
    const { sessions, ledger, evictAfterIdleMs, now, level, evict } = this.#options;
    const at = now();
    if (at < this.#nothingUntil.idle) return false;
    const idle = sessions
      .idleLongest(at, evictAfterIdleMs)
      .filter((found) => found.session !== asking);
    if (idle.length === 0) this.#nothingFound("idle", at);
    for (const { session, idleMs } of idle) {
      if (level() !== "critical" && ledger.fits(bytes)) break;
      // Whoever heard of the last eviction may have closed it, or put it to work.
      if (session.closed || session.operations > 0) continue;
      evict({ session, reason: "idle", idleMs, error: undefined });
    }
    return idle.length > 0;
  }

  #closeOne({ session, stall, overdue }: StalledSession): void {
    const { stalledMs, heldBytes, giveUp } = stall;
    if (giveUp !== undefined) {
      safely(giveUp);
      return;
    }
    const reason = overdue ? "stalled" : "evicted";
    const error = new ReaderStalledError(session.id, reason, stalledMs, heldBytes);
    if (overdue) void session.close(reason, error);
    else this.#options.evict({ session, reason: "stalled", idleMs: stalledMs, error });
  }

  #nothingFound(reason: EvictReason, at: number): void {
    this.#nothingUntil[reason] = at + this.#options.againAfterMs[reason]();
  }

  get #pressed(): boolean {
    const level = this.#options.level();
    return level === "high" || level === "critical";
  }
}
