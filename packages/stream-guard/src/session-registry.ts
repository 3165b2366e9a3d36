import type { StreamingSession } from "./streaming-session.ts";

export interface IdleSession {
  readonly session: StreamingSession;
  readonly idleMs: number;
}

/** The open sessions, by id and counted by principal. */
export class SessionRegistry {
  readonly #byId = new Map<string, StreamingSession>();
  readonly #byPrincipal = new Map<string, number>();

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  countOf(principal: string): number {
    return this.#byPrincipal.get(principal) ?? 0;
  }

  add(session: StreamingSession): void {
    this.#byId.set(session.id, session);
    this.#count(session.principal, 1);
  }

  delete(session: StreamingSession): void {
    if (this.#byId.delete(session.id)) this.#count(session.principal, -1);
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

  #count(principal: string | undefined, change: number): void {
    if (principal === undefined) return;
    const count = this.countOf(principal) + change;
    if (count === 0) this.#byPrincipal.delete(principal);
    else this.#byPrincipal.set(principal, count);
  }
}
