import type { StreamGuard, StreamingSession } from "@mcp-accel/stream-guard";
import type { Settings } from "./settings.ts";

/** The naive ledger: what every session should hold, kept by what was seen, with nothing clever about it. */
export class Books {
  readonly #settings: Settings;
  readonly #held = new Map<StreamingSession, number>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  open(session: StreamingSession): void {
    this.#held.set(session, 0);
  }

  /** Bytes of a session that is closed count no more. */
  add(session: StreamingSession, bytes: number): void {
    if (!session.closed) this.#held.set(session, this.of(session) + bytes);
  }

  of(session: StreamingSession): number {
    return session.closed ? 0 : (this.#held.get(session) ?? 0);
  }

  /** What all open sessions hold, or those of one principal. */
  total(principal?: string): number {
    let total = 0;
    for (const session of this.#held.keys()) {
      if (session.closed) this.#held.delete(session);
      else if (principal === undefined || session.principal === principal)
        total += this.of(session);
    }
    return total;
  }

  /** Whose limit says no to `bytes` more. */
  refusal(session: StreamingSession, bytes: number): string | undefined {
    const { options } = this.#settings;
    const budget = options.principalMaxMemoryBytes ?? options.maxMemoryBytes;
    if (this.of(session) > session.maxMemoryBytes - bytes) return "session";
    const { principal } = session;
    if (principal !== undefined && this.total(principal) > budget - bytes) return "principal";
    return this.total() > options.maxMemoryBytes - bytes ? "guard" : undefined;
  }

  /** Holds nothing and does nothing but wait. */
  isNewcomer(session: StreamingSession, waits: number): boolean {
    return this.of(session) === 0 && session.operations <= waits;
  }

  get share(): number {
    return this.total() / this.#settings.options.maxMemoryBytes;
  }

  /** What is wrong with the guard's books now. */
  mistakes(guard: StreamGuard): string | undefined {
    const { options } = this.#settings;
    const budget = options.principalMaxMemoryBytes ?? options.maxMemoryBytes;
    const { usedBytes, peakBytes } = guard.stats();
    let sum = 0;
    for (const session of guard.sessions()) {
      const { id, memoryUsageBytes, maxMemoryBytes } = session;
      sum += memoryUsageBytes;
      if (memoryUsageBytes !== this.of(session))
        return `session ${id} holds ${memoryUsageBytes}, and should hold ${this.of(session)}`;
      if (session.peakBytes > maxMemoryBytes)
        return `session ${id} held ${session.peakBytes} of ${maxMemoryBytes}`;
    }
    if (usedBytes !== sum) return `the guard holds ${usedBytes}, its sessions together ${sum}`;
    if (peakBytes > options.maxMemoryBytes)
      return `the guard held ${peakBytes} of ${options.maxMemoryBytes}`;
    for (const principal of guard.principals()) {
      const expected = this.total(principal.principal);
      if (principal.usedBytes !== expected)
        return `${principal.principal} holds ${principal.usedBytes}, and should hold ${expected}`;
      if (principal.usedBytes > budget)
        return `${principal.principal} holds ${principal.usedBytes} of ${budget}`;
    }
    return undefined;
  }
}
