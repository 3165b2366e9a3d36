import type { StreamingSession } from "./streaming-session.ts";

interface Item {
  bytes: number;
}

const ofSession = new WeakMap<StreamingSession, InTransit>();

/**
 * Bytes handed to a transport that have not yet shown up in a response. They are reserved in the
 * session; a response that writes them takes the reservation over, so that nothing counts twice.
 */
export class InTransit {
  readonly #session: StreamingSession;
  readonly #items = new Set<Item>();

  constructor(session: StreamingSession) {
    this.#session = session;
  }

  /** The one that all writers of a session share. */
  static of(session: StreamingSession): InTransit {
    const known = ofSession.get(session) ?? new InTransit(session);
    ofSession.set(session, known);
    return known;
  }

  /** `bytes` must be reserved already. The returned function gives back what no response took over. */
  add(bytes: number): () => void {
    const item: Item = { bytes };
    this.#items.add(item);
    return () => {
      this.#items.delete(item);
      this.#session.release(item.bytes);
      item.bytes = 0;
    };
  }

  /** Hands over up to `bytes`, oldest first; says how many. */
  take(bytes: number): number {
    let missing = bytes;
    for (const item of this.#items) {
      const taken = Math.min(item.bytes, missing);
      item.bytes -= taken;
      missing -= taken;
      if (item.bytes > 0) break;
      this.#items.delete(item);
      if (missing === 0) break;
    }
    return bytes - missing;
  }
}
