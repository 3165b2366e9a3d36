import { Ledger } from "./ledger.ts";
import type { StreamingSession } from "./streaming-session.ts";

export interface IdleSession {
  readonly session: StreamingSession;
  readonly idleMs: number;
}

/** What the open sessions of one principal amount to. */
export interface PrincipalUsage {
  readonly principal: string;
  readonly sessions: number;
  readonly usedBytes: number;
}

interface PrincipalEntry {
  readonly ledger: Ledger;
  sessions: number;
}

/** The open sessions, by id, and their principals with a budget each. */
export class SessionRegistry {
  readonly #principalMaxBytes: number;
  readonly #byId = new Map<string, StreamingSession>();
  readonly #byPrincipal = new Map<string, PrincipalEntry>();

  constructor(principalMaxBytes: number) {
    this.#principalMaxBytes = principalMaxBytes;
  }

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  countOf(principal: string): number {
    return this.#byPrincipal.get(principal)?.sessions ?? 0;
  }

  get principals(): readonly PrincipalUsage[] {
    return [...this.#byPrincipal].map(([principal, { ledger, sessions }]) => ({
      principal,
      sessions,
      usedBytes: ledger.usedBytes,
    }));
  }

  /** Counts a session that is about to be made; the budget it shares, if it has a principal. */
  join(principal: string | undefined): Ledger | undefined {
    if (principal === undefined) return undefined;
    let entry = this.#byPrincipal.get(principal);
    if (entry === undefined) {
      entry = { ledger: new Ledger(this.#principalMaxBytes), sessions: 0 };
      this.#byPrincipal.set(principal, entry);
    }
    entry.sessions += 1;
    return entry.ledger;
  }

  add(session: StreamingSession): void {
    this.#byId.set(session.id, session);
  }

  delete(session: StreamingSession): void {
    if (this.#byId.delete(session.id)) this.#leave(session.principal);
  }

  /** Sessions that hold memory and have been idle for at least `minIdleMs`, longest idle first. */
  idleLongest(now: number, minIdleMs: number): readonly IdleSession[] {
    return [...this.#byId.values()]
      .filter((session) => session.memoryUsageBytes > 0)
      .map((session) => ({ session, idleMs: session.idleForMs(now) }))
      .filter(({ session, idleMs }) => session.operations === 0 && idleMs >= minIdleMs)
      .toSorted((a, b) => b.idleMs - a.idleMs);
  }

  [Symbol.iterator](): IterableIterator<StreamingSession> {
    return this.#byId.values();
  }

  #leave(principal: string | undefined): void {
    const entry = principal === undefined ? undefined : this.#byPrincipal.get(principal);
    if (principal === undefined || entry === undefined) return;
    entry.sessions -= 1;
    if (entry.sessions === 0) this.#byPrincipal.delete(principal);
  }
}
