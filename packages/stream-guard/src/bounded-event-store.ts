import { InTransit } from "./in-transit.ts";
import { afterAdapterStart } from "./adapter-turn.ts";
import { InvalidArgumentError } from "./errors.ts";
import { bytes, duration, fn, integer, record } from "./options.ts";
import { monotonicNow } from "./schedule.ts";
import type { StreamingSession } from "./streaming-session.ts";

const MAX_EVENTS = 1000;
const MAX_AGE_MS = 5 * 60_000;
/** An entry's own size beside its message. */
const ENTRY_BYTES = 256;
/** Streams remembered after their last event was dropped. */
const MAX_EMPTY_STREAMS = 100;

export interface EventStoreOptions {
  /** Bytes of encoded messages kept; half of what the session may hold by default. */
  readonly maxBytes?: number;
  readonly maxEvents?: number;
  readonly maxAgeMs?: number;
  /**
   * What to do for a client that missed events which are no longer kept: `refuse` to resume its stream,
   * or `skip` what is missing.
   */
  readonly onGap?: "refuse" | "skip";
  /** Milliseconds since the epoch; must not jump backwards. */
  readonly now?: () => number;
}

interface StoredEvent {
  readonly stream: EventStream;
  readonly number: number;
  /** Encoded, so that its size is known and it cannot change. */
  readonly json: string;
  readonly bytes: number;
  readonly storedAt: number;
}

interface EventStream {
  readonly id: string;
  /** Number of the latest event, kept or not; the first is 1. */
  latest: number;
  /** Those kept, by number, without a gap up to the latest. */
  readonly events: Map<number, StoredEvent>;
}

type Send = (eventId: string, message: never) => Promise<void>;

/**
 * The history from which one session's streams are resumed, charged to that session. The oldest events
 * are dropped first. A stream can be resumed from an event as long as none after it was dropped; else,
 * unless gaps are skipped, the event's id is unknown, which both SDKs answer with 400.
 */
export class BoundedEventStore {
  readonly #session: StreamingSession;
  readonly #maxBytes: number;
  readonly #maxEvents: number;
  readonly #maxAgeMs: number;
  readonly #skipsGaps: boolean;
  readonly #now: () => number;
  readonly #streams = new Map<string, EventStream>();
  /** Oldest first. */
  readonly #events = new Set<StoredEvent>();
  /** Streams without events, the one emptied last at the end. */
  readonly #empty = new Set<EventStream>();
  #usedBytes = 0;
  #dropped = 0;

  /** @throws InvalidArgumentError */
  constructor(session: StreamingSession, options: EventStoreOptions = {}) {
    this.#session = session;
    const resolved = resolveEventStoreOptions(options, Math.floor(session.maxMemoryBytes / 2));
    this.#maxBytes = resolved.maxBytes;
    this.#maxEvents = resolved.maxEvents;
    this.#maxAgeMs = resolved.maxAgeMs;
    this.#skipsGaps = resolved.onGap === "skip";
    this.#now = resolved.now;
    session.onTend((short) => {
      this.#dropOld();
      if (short) this.#shrink();
    });
    session.onClose(() => {
      this.#clear();
    });
  }

  /** Events kept now. */
  get size(): number {
    return this.#events.size;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Events that are no longer kept, or never were. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Keeps the message if there is room for it at all. Never fails: a history is no reason not to send. */
  async storeEvent(streamId: string, message: object): Promise<string> {
    const stream = this.#streamOf(streamId);
    stream.latest += 1;
    const number = stream.latest;
    const json = JSON.stringify(message);
    const size = Buffer.byteLength(json) + ENTRY_BYTES;
    this.#dropOld();
    if (this.#makeRoom(size)) {
      const event = { stream, number, json, bytes: size, storedAt: this.#now() };
      stream.events.set(number, event);
      this.#events.add(event);
      this.#usedBytes += size;
      this.#empty.delete(stream);
    } else {
      // Without this one those before it are of no use: nothing may be skipped.
      this.#dropped += 1;
      for (const event of stream.events.values()) this.#drop(event);
      this.#forget(stream);
    }
    return `${streamId}_${number}`;
  }

  /** Undefined when the stream cannot be resumed from this event without a gap. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#find(eventId)?.stream.id;
  }

  /**
   * Sends what came after the event. All of it is reserved first, since the SDKs hand out the response
   * only when the last was sent.
   *
   * @throws MemoryLimitError when the session has no room for it: its client may try again
   */
  async replayEventsAfter(lastEventId: string, { send }: { readonly send: Send }): Promise<string> {
    const found = this.#find(lastEventId);
    if (found === undefined) return "";
    const events = [...found.stream.events.values()].filter(({ number }) => number > found.number);
    const total = events.reduce((sum, event) => sum + event.bytes, 0);
    this.#session.reserve(total);
    const leave = InTransit.of(this.#session).add(total);
    try {
      for (const { stream, number, json } of events)
        await send(`${stream.id}_${number}`, JSON.parse(json) as never);
    } finally {
      afterAdapterStart(leave);
    }
    return found.stream.id;
  }

  #find(eventId: string): { readonly stream: EventStream; readonly number: number } | undefined {
    this.#dropOld();
    const [, streamId = "", digits = ""] = /^(.*)_([1-9]\d{0,14})$/s.exec(eventId) ?? [];
    const stream = this.#streams.get(streamId);
    const number = Number(digits);
    if (stream === undefined || number > stream.latest) return undefined;
    const gapless = number === stream.latest || stream.events.has(number + 1);
    return gapless || this.#skipsGaps ? { stream, number } : undefined;
  }

  #streamOf(id: string): EventStream {
    let stream = this.#streams.get(id);
    if (stream === undefined) {
      stream = { id, latest: 0, events: new Map() };
      this.#streams.set(id, stream);
    }
    return stream;
  }

  #dropOld(): void {
    const oldest = this.#now() - this.#maxAgeMs;
    for (const event of this.#events) {
      if (event.storedAt > oldest) return;
      this.#drop(event);
    }
  }

  /** Drops half of what is kept. */
  #shrink(): void {
    const enoughBytes = this.#usedBytes / 2;
    for (const event of this.#events) {
      if (this.#usedBytes <= enoughBytes) return;
      this.#drop(event);
    }
  }

  /** Takes `size` bytes, for which older events may have to go, but nobody else's session. */
  #makeRoom(size: number): boolean {
    if (this.#session.closed || size > this.#maxBytes) return false;
    for (const event of this.#events) {
      if (this.#usedBytes + size <= this.#maxBytes && this.#events.size < this.#maxEvents) break;
      this.#drop(event);
    }
    if (this.#session.tryReserveSpare(size)) return true;
    for (const event of this.#events) {
      this.#drop(event);
      if (this.#session.closed) return false;
      if (this.#session.tryReserveSpare(size)) return true;
    }
    return false;
  }

  #drop(event: StoredEvent): void {
    const { stream, number, bytes: size } = event;
    this.#events.delete(event);
    stream.events.delete(number);
    this.#usedBytes -= size;
    this.#dropped += 1;
    this.#session.release(size);
    if (stream.events.size === 0) this.#forget(stream);
  }

  /** A stream without events can still be resumed from its latest, for as long as it is remembered. */
  #forget(stream: EventStream): void {
    this.#empty.delete(stream);
    this.#empty.add(stream);
    for (const oldest of this.#empty) {
      if (this.#empty.size <= MAX_EMPTY_STREAMS) return;
      this.#empty.delete(oldest);
      this.#streams.delete(oldest.id);
    }
  }

  #clear(): void {
    this.#streams.clear();
    this.#events.clear();
    this.#empty.clear();
    this.#usedBytes = 0;
  }
}

/** @throws InvalidArgumentError naming the first option that is wrong */
export function resolveEventStoreOptions(
  options: EventStoreOptions,
  defaultMaxBytes: number,
): Required<EventStoreOptions> {
  record("options", options);
  const { onGap = "refuse" } = options;
  if (onGap !== "refuse" && onGap !== "skip")
    throw new InvalidArgumentError("onGap", '"refuse" or "skip"', onGap);
  return {
    maxBytes: bytes("maxBytes", options.maxBytes ?? defaultMaxBytes),
    maxEvents: integer("maxEvents", options.maxEvents ?? MAX_EVENTS, 1),
    maxAgeMs: duration("maxAgeMs", options.maxAgeMs ?? MAX_AGE_MS),
    onGap,
    now: fn("now", options.now ?? monotonicNow),
  };
}
