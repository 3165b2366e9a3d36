import type { Connection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Slots } from "./slots.ts";
import { WaitQueue } from "./wait-queue.ts";

/** Younger event streams mostly end soon, and their connection is then reused. */
const LASTING_MS = 250;

export interface BeyondHost {
  /** The exchange gets a connection of its own. */
  assign(exchange: Exchange, connection: Connection): void;
  reject(exchange: Exchange, why: string): void;
  expire(exchange: Exchange): void;
  unavailable(exchange: Exchange, error: Error | undefined): Error;
  /** Requests that wait for a slot. */
  waiting(): number;
  /** So many slots became free. */
  freed(count: number): void;
  /** Why nothing may begin any more. */
  ended(): Error | undefined;
}

/**
 * What has connections beyond `maxConnections`, and how many: streams, answers that turned out to be event
 * streams while others wait for their slots, and replies, for which the holders of all slots may wait.
 */
export class Beyond {
  readonly #options: ResolvedPoolOptions;
  readonly #slots: Slots;
  readonly #host: BeyondHost;
  readonly #replies: WaitQueue;
  /** Event streams that hold a slot, from the oldest. */
  readonly #inSlots = new Set<Exchange>();
  #cancelTimer: (() => void) | undefined;

  constructor(options: ResolvedPoolOptions, slots: Slots, host: BeyondHost) {
    this.#options = options;
    this.#slots = slots;
    this.#host = host;
    this.#replies = new WaitQueue(options, (exchange) => host.expire(exchange));
  }

  /** Replies that wait for a connection. */
  get waiting(): number {
    return this.#replies.size;
  }

  admitStream(exchange: Exchange): void {
    const { streams } = this.#slots;
    if (streams < this.#options.maxStreams) this.#open(exchange, "stream");
    else this.#host.reject(exchange, `${streams} streams are open`);
  }

  /** For one that found no idle connection. */
  admitReply(exchange: Exchange): void {
    if (this.#slots.replies < this.#options.maxReplies) this.#open(exchange, "reply");
    else if (this.#replies.size < this.#options.queueLimit) this.#replies.push(exchange);
    else this.#host.reject(exchange, `${this.#replies.size} replies wait`);
  }

  /** The reply that waits longest goes before every request. */
  nextReply(): Exchange | undefined {
    return this.#replies.size === 0 ? undefined : this.#replies.shift();
  }

  /** Its answer is an event stream. */
  began(exchange: Exchange): void {
    if (exchange.connection === undefined || !this.#slots.holds(exchange.connection)) return;
    this.#inSlots.add(exchange);
    if (this.#host.waiting() > 0) this.#arm();
  }

  ended(exchange: Exchange): void {
    this.#replies.remove(exchange);
    if (exchange.endless) this.#inSlots.delete(exchange);
  }

  /** A connection ended, which may be room for another. */
  closed(): void {
    while (this.#replies.size > 0 && this.#slots.replies < this.#options.maxReplies) {
      const exchange = this.#replies.shift();
      if (exchange !== undefined) this.#open(exchange, "reply");
    }
    if (this.#host.waiting() > 0) this.makeRoom(0);
  }

  /** Event streams that last leave their slots to those who wait, and to as many that are about to. */
  makeRoom(coming: number): void {
    if (this.#inSlots.size === 0) return;
    let freed = 0;
    for (const exchange of this.#inSlots) {
      if (this.#missing(coming) <= 0 || this.#dueInMs(exchange) > 0) break;
      if (this.#slots.streams >= this.#options.maxStreams) break;
      this.#inSlots.delete(exchange);
      if (exchange.connection !== undefined && this.#slots.lend(exchange.connection)) freed += 1;
    }
    if (freed > 0) this.#host.freed(freed);
    if (this.#missing(coming) > 0) this.#arm();
  }

  /** Replies that wait end with the pool. */
  fail(error: Error): void {
    for (let next = this.nextReply(); next !== undefined; next = this.nextReply()) next.fail(error);
  }

  [Symbol.dispose](): void {
    this.#replies[Symbol.dispose]();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #missing(coming: number): number {
    return this.#host.waiting() + coming - this.#slots.connecting - this.#slots.free;
  }

  #dueInMs({ answeredAt }: Exchange): number {
    return answeredAt + LASTING_MS - this.#options.now();
  }

  #arm(): void {
    const [oldest] = this.#inSlots;
    if (oldest === undefined || this.#cancelTimer !== undefined) return;
    // Without room the end of a stream is waited for.
    if (this.#slots.streams >= this.#options.maxStreams) return;
    const delayMs = Math.max(1, this.#dueInMs(oldest));
    this.#cancelTimer = this.#options.schedule(() => {
      this.#cancelTimer = undefined;
      if (this.#host.waiting() > 0) this.makeRoom(0);
    }, delayMs);
  }

  #open(exchange: Exchange, lane: "stream" | "reply"): void {
    exchange.attempts += 1;
    exchange.cancelOpening = this.#slots.connect(lane, (error, connection) => {
      exchange.cancelOpening = undefined;
      const ended = this.#host.ended();
      if (connection === undefined) exchange.fail(this.#host.unavailable(exchange, error));
      else if (ended !== undefined && lane === "stream") {
        this.#slots.retire(connection, "shutdown");
        exchange.fail(ended);
      } else this.#host.assign(exchange, connection);
    });
  }
}
