import type { ConnectionPool } from "./connection-pool.ts";
import type { PoolDispatcher } from "./pool-dispatcher.ts";
import type { PoolEvents } from "./pool-events.ts";

type Relay = (event: never) => void;

const RELAYED: readonly (keyof PoolEvents)[] = [
  "open",
  "close",
  "connectError",
  "request",
  "wait",
  "replay",
  "healthCheck",
  "leak",
];

/** Passes events of pools on, and listens to each only while somebody listens to it at `owner`. */
export class PoolRelay {
  readonly #relays = new Map<string | symbol, Relay>();

  constructor(
    owner: Pick<PoolDispatcher, "on" | "listenerCount">,
    pools: () => Iterable<ConnectionPool>,
    send: (event: keyof PoolEvents, value: never) => void,
  ) {
    const relayed = new Set<string | symbol>(RELAYED);
    owner.on("newListener", (event: string | symbol) => {
      if (!relayed.has(event) || this.#relays.has(event)) return;
      const relay: Relay = (value) => send(event as keyof PoolEvents, value);
      this.#relays.set(event, relay);
      for (const pool of pools()) pool.on(event, relay);
    });
    owner.on("removeListener", (event: string | symbol) => {
      const relay = this.#relays.get(event);
      if (relay === undefined || owner.listenerCount(event) > 0) return;
      this.#relays.delete(event);
      for (const pool of pools()) pool.off(event, relay);
    });
  }

  /** A pool that is new. */
  add(pool: ConnectionPool): void {
    for (const [event, relay] of this.#relays) pool.on(event, relay);
  }
}
