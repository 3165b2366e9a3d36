import { BodyNotReadError, BodyTimeoutError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Slots } from "./slots.ts";

const MIN_INTERVAL_MS = 10;
const MAX_INTERVAL_MS = 5000;

/** From time to time: ends what is idle or old, opens what `minIdle` lacks, ends bodies that stand still. */
export class Sweeper {
  readonly #options: ResolvedPoolOptions;
  readonly #slots: Slots;
  readonly #openOne: () => Promise<void>;
  #cancel: (() => void) | undefined;
  #finishing = false;

  constructor(options: ResolvedPoolOptions, slots: Slots, openOne: () => Promise<void>) {
    this.#options = options;
    this.#slots = slots;
    this.#openOne = openOne;
  }

  /** Sets the timer, if there is something to look after. */
  arm(): void {
    if (this.#cancel !== undefined) return;
    if (this.#slots.empty && this.#minIdle === 0) return;
    this.#cancel = this.#options.schedule(() => {
      this.#cancel = undefined;
      this.#sweep();
      this.arm();
    }, intervalOf(this.#options));
  }

  /** Opens nothing more, and lets no event stream that is silent hold up the end. */
  finish(): void {
    this.#finishing = true;
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  get #minIdle(): number {
    return this.#finishing ? 0 : this.#options.minIdle;
  }

  #sweep(): void {
    this.#endSilent();
    for (let missing = this.#slots.sweep(this.#minIdle); missing > 0; missing -= 1) {
      // A failure is counted and reported; the next sweep tries again.
      this.#openOne().catch(() => undefined);
    }
  }

  #endSilent(): void {
    const now = this.#options.now();
    for (const { exchange } of this.#slots.all()) {
      if (exchange?.quietSince === undefined || exchange.done) continue;
      const limitMs = this.#limitOf(exchange);
      if (limitMs === 0 || now - exchange.quietSince < limitMs) continue;
      const Reason = exchange.paused ? BodyNotReadError : BodyTimeoutError;
      exchange.abort(new Reason(this.#slots.upstream, limitMs));
    }
  }

  #limitOf({ endless, options: { bodyTimeout } }: Exchange): number {
    return bodyTimeout ?? (endless && !this.#finishing ? 0 : this.#options.bodyTimeoutMs);
  }
}

function intervalOf({ maxIdleTimeMs, maxLifetimeMs, bodyTimeoutMs }: ResolvedPoolOptions): number {
  const shortest = Math.min(maxIdleTimeMs, maxLifetimeMs, bodyTimeoutMs || Infinity);
  return Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, shortest / 4));
}
