import { SinkTimeoutError } from "./alert-errors.ts";
import type { AlertEvent } from "./alert-event.ts";
import { within } from "./alert-schedule.ts";
import type { Schedule } from "./alert-schedule.ts";

/** Where alerts go. A sink may throw, reject or hang: that is counted, and concerns nothing else. */
export interface AlertSink {
  /** A word for metrics and messages. */
  readonly name: string;
  deliver(event: AlertEvent): void | Promise<void>;
  /** Lets go of timers and connections. */
  close?(): void;
}

export interface DispatchOptions {
  readonly schedule: Schedule;
  readonly timeoutMs: number;
  readonly maxQueued: number;
  readonly onError: (sink: string, error: unknown) => void;
}

export type DeliveryCounts = Record<"delivered" | "failed" | "dropped", number>;

/** Hands events to one sink, one after the other, from a queue with a bound. */
export class SinkDispatch {
  readonly #sink: AlertSink;
  readonly #counts: DeliveryCounts;
  readonly #options: DispatchOptions;
  readonly #queue: AlertEvent[] = [];
  #running = false;
  #closed = false;

  /** Counts in `counts`, which sinks of one name share. */
  constructor(sink: AlertSink, counts: DeliveryCounts, options: DispatchOptions) {
    this.#sink = sink;
    this.#counts = counts;
    this.#options = options;
  }

  /** Never throws. When the queue is full the event is dropped. */
  send(event: AlertEvent): void {
    if (this.#closed) return;
    if (this.#queue.length >= this.#options.maxQueued) {
      this.#counts.dropped += 1;
      return;
    }
    this.#queue.push(event);
    if (!this.#running) void this.#drain();
  }

  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    try {
      this.#sink.close?.();
    } catch (error) {
      this.#options.onError(this.#sink.name, error);
    }
  }

  async #drain(): Promise<void> {
    this.#running = true;
    let event = this.#queue.shift();
    while (event !== undefined) {
      await this.#deliver(event);
      event = this.#queue.shift();
    }
    this.#running = false;
  }

  async #deliver(event: AlertEvent): Promise<void> {
    const { schedule, timeoutMs, onError } = this.#options;
    const { name } = this.#sink;
    try {
      const delivery = (async () => await this.#sink.deliver(event))();
      await within(delivery, timeoutMs, schedule, () => new SinkTimeoutError(name, timeoutMs));
      this.#counts.delivered += 1;
    } catch (error) {
      this.#counts.failed += 1;
      onError(name, error);
    }
  }
}
