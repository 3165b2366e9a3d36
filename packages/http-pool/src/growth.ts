import type { Connection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";
import type { Slots } from "./slots.ts";
import type { WaitQueue } from "./wait-queue.ts";

export interface GrowthHost {
  /** A new connection is free. */
  opened(connection: Connection): void;
  /** What an exchange is told for which no connection could be opened. */
  unavailable(exchange: Pick<Exchange, "attempts">, error: Error | undefined): Error;
}

/**
 * Opens connections for those who wait. Each request that comes and each connection that ends is good for one
 * attempt, so that a server that refuses more is not asked again and again; each success for two.
 */
export class Growth {
  readonly #slots: Slots;
  readonly #queue: WaitQueue;
  readonly #host: GrowthHost;

  constructor(slots: Slots, queue: WaitQueue, host: GrowthHost) {
    this.#slots = slots;
    this.#queue = queue;
    this.#host = host;
  }

  grow(attempts: number): void {
    const { connecting, free } = this.#slots;
    const count = Math.min(attempts, free, this.#queue.size - connecting);
    for (let left = count; left > 0; left -= 1)
      this.#open((error) => {
        if (error === undefined) this.grow(2);
      });
  }

  /** One connection more, whether somebody waits or not. */
  openOne(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  #open(settled: (error?: Error) => void): void {
    this.#slots.connect("request", (error, connection) => {
      if (connection === undefined) {
        this.#failed(error);
        settled(this.#host.unavailable({ attempts: 1 }, error));
      } else {
        this.#host.opened(connection);
        settled();
      }
    });
  }

  /**
   * With other connections open, those who wait are served by them. With none, the one who waits longest is
   * told, so that an outage costs one attempt a request and nobody waits for nothing.
   */
  #failed(error: Error | undefined): void {
    if (this.#slots.open === 0 && this.#queue.size > this.#slots.connecting) {
      const exchange = this.#queue.shift();
      exchange?.fail(this.#host.unavailable(exchange, error));
      this.grow(1);
    }
  }
}
