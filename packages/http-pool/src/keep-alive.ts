import type { Connection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";
import type { Probe } from "./health-check.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Slots } from "./slots.ts";

/** Part of a connection's idle life after which it is used, so that an answer comes well before its end. */
const DUE_RATIO = 0.75;
const MIN_DELAY_MS = 10;

/** Asks for `keepAlivePath` on idle connections before their server closes them, so that it does not. */
export class KeepAlive {
  readonly #options: ResolvedPoolOptions;
  readonly #slots: Slots;
  readonly #send: (probe: Probe) => Exchange;
  #cancel: (() => void) | undefined;

  constructor(options: ResolvedPoolOptions, slots: Slots, send: (probe: Probe) => Exchange) {
    this.#options = options;
    this.#slots = slots;
    this.#send = send;
  }

  /** Sets the timer, if a connection is to be kept alive. */
  arm(): void {
    const { keepAlivePath, now, schedule } = this.#options;
    if (keepAlivePath === undefined || this.#cancel !== undefined) return;
    const dueAt = Math.min(...this.#kept().map(dueOf));
    if (dueAt === Infinity) return;
    this.#cancel = schedule(
      () => {
        this.#cancel = undefined;
        this.#ask(keepAlivePath);
        this.arm();
      },
      Math.max(MIN_DELAY_MS, dueAt - now()),
    );
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #ask(path: string): void {
    const now = this.#options.now();
    // From the one unused longest, so that they come back in the same order.
    for (const connection of this.#kept().toReversed())
      if (connection.usable && now >= dueOf(connection)) this.#askOn(connection, path);
  }

  #askOn(connection: Connection, path: string): void {
    const { healthCheckTimeoutMs: timeoutMs, schedule } = this.#options;
    this.#slots.lift(connection);
    const cancel = schedule(() => {
      exchange.abort(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    const exchange = this.#send({
      connection,
      options: { method: "GET", path },
      handler: { onResponseEnd: cancel, onResponseError: cancel },
    });
  }

  /** A connection that carried nothing yet has all its time. */
  #kept(): readonly Connection[] {
    const { minIdle, maxIdleTimeMs, now } = this.#options;
    const unusedBefore = now() - maxIdleTimeMs;
    return this.#slots
      .usedLast(Math.max(1, minIdle))
      .filter(
        ({ requests, unusedSince }) => requests > 0 && (minIdle > 0 || unusedSince > unusedBefore),
      );
  }
}

function dueOf({ idleSince, idleLimitMs }: Connection): number {
  return idleSince + idleLimitMs * DUE_RATIO;
}
