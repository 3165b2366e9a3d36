import type {
  EventId,
  EventStore,
  StreamId,
} from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

interface LoggedEvent {
  readonly stream: StreamId;
  readonly json: string;
}

/** What an event costs beside its text. */
const OVERHEAD_BYTES = 256;

/**
 * The latest messages of all sessions, within a number of bytes; the oldest go first, whosever they are.
 * A client whose stream broke can have those it missed from the log of its session.
 */
export class ReplayLog {
  readonly #maxBytes: number;
  /** Whose the events are that are still kept. */
  readonly #owners = new Map<EventId, SessionReplayLog>();
  #bytes = 0;
  #latest = 0;
  #evicted = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns The event's id; an event that is larger than the whole log gets one, but is not kept. */
  add(session: SessionReplayLog, event: LoggedEvent): EventId {
    this.#latest += 1;
    const id = String(this.#latest);
    if (cost(event) > this.#maxBytes) return id;
    session.events.set(id, event);
    this.#owners.set(id, session);
    this.#bytes += cost(event);
    while (this.#bytes > this.#maxBytes) {
      this.#evicted += 1;
      this.remove(String(this.#evicted));
    }
    return id;
  }

  remove(id: EventId): void {
    const session = this.#owners.get(id);
    const event = session?.events.get(id);
    if (session === undefined || event === undefined) return;
    session.events.delete(id);
    this.#owners.delete(id);
    this.#bytes -= cost(event);
  }
}

/** The part of the log that belongs to one session, and that no other session can read. */
export class SessionReplayLog implements EventStore {
  readonly events = new Map<EventId, LoggedEvent>();
  readonly #log: ReplayLog;

  constructor(log: ReplayLog) {
    this.#log = log;
  }

  async storeEvent(stream: StreamId, message: JSONRPCMessage): Promise<EventId> {
    return this.#log.add(this, { stream, json: JSON.stringify(message) });
  }

  async getStreamIdForEventId(id: EventId): Promise<StreamId | undefined> {
    return this.events.get(id)?.stream;
  }

  async replayEventsAfter(
    lastId: EventId,
    { send }: { readonly send: (id: EventId, message: JSONRPCMessage) => Promise<void> },
  ): Promise<StreamId> {
    const stream = this.events.get(lastId)?.stream;
    if (stream === undefined) throw new Error("the event to replay after is no longer in the log");
    for (const [id, event] of this.events)
      if (event.stream === stream && Number(id) > Number(lastId))
        await send(id, JSON.parse(event.json) as JSONRPCMessage);
    return stream;
  }

  /** Forgets everything; to be called when the session has ended. */
  clear(): void {
    for (const id of this.events.keys()) this.#log.remove(id);
  }
}

function cost({ json }: LoggedEvent): number {
  return json.length + OVERHEAD_BYTES;
}
