import type { StreamingSession } from "./streaming-session.ts";

/**
 * Requests of a client that are not answered yet. They keep the session open while the client is
 * there to hear the answer; a client that has gone has the session's idle time to come back.
 */
export class PendingRequests {
  readonly #session: StreamingSession;
  readonly #limit: number;
  /** How often each id is in progress: nothing keeps a client from using one twice. */
  readonly #ids = new Map<unknown, number>();
  #size = 0;
  #connected = true;
  #operation: Disposable | undefined;

  constructor(session: StreamingSession, limit: number) {
    this.#session = session;
    this.#limit = limit;
  }

  /** False, and nothing begun, when as many as may be are in progress. */
  tryBegin(id: unknown): boolean {
    if (this.#size >= this.#limit) return false;
    this.#ids.set(id, (this.#ids.get(id) ?? 0) + 1);
    this.#size += 1;
    this.#hold();
    return true;
  }

  end(id: unknown): void {
    const times = this.#ids.get(id);
    if (times === undefined) return;
    if (times === 1) this.#ids.delete(id);
    else this.#ids.set(id, times - 1);
    this.#size -= 1;
    this.#hold();
  }

  /** Whether the client has a connection on which it could be answered. */
  connected(connected: boolean): void {
    this.#connected = connected;
    this.#hold();
  }

  clear(): void {
    this.#ids.clear();
    this.#size = 0;
    this.#hold();
  }

  #hold(): void {
    const busy = this.#connected && this.#size > 0 && !this.#session.closed;
    if (busy) {
      this.#operation ??= this.#session.begin();
      return;
    }
    this.#operation?.[Symbol.dispose]();
    this.#operation = undefined;
  }
}
