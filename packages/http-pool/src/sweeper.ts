import {
  BodyNotReadError,
  BodyTimeoutError,
  PoolClosedError,
  RequestBodyTimeoutError,
} from "./errors.ts";
import type { Connection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Report } from "./report.ts";
import type { Slots } from "./slots.ts";

const MIN_INTERVAL_MS = 10;
const MAX_INTERVAL_MS = 5000;
/** For which calls that answer with events may go on after `close` when there is no `bodyTimeoutMs`. */
const LAST_EVENTS_MS = 60_000;
/** Before a silence counts, what came while this process stood still has so long to be read. */
const LISTEN_MS = 10;
/** Longest pause between attempts to open what `minIdle` lacks, while they fail. */
const MAX_BACKOFF_MS = 30_000;
/** A server that ends connections as soon as they are open is not given new ones in a loop. */
const REPLACED_AFTER_MS = 1000;

/** From time to time: ends what is idle or old, opens what `minIdle` lacks, ends bodies that stand still. */
export class Sweeper {
  readonly #options: ResolvedPoolOptions;
  readonly #slots: Slots;
  readonly #report: Report;
  readonly #openOne: () => Promise<void>;
  #cancel: (() => void) | undefined;
  #cancelListen: (() => void) | undefined;
  #finishingSince: number | undefined;
  /** Attempts to open what `minIdle` lacks that failed since one did not. */
  #failures = 0;
  #fillAfter = -Infinity;

  constructor(
    options: ResolvedPoolOptions,
    slots: Slots,
    report: Report,
    openOne: () => Promise<void>,
  ) {
    this.#options = options;
    this.#slots = slots;
    this.#report = report;
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

  /** Opens nothing more, and lets no event stream hold up the end for ever. */
  finish(): void {
    this.#finishingSince ??= this.#options.now();
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#cancelListen?.();
    this.#cancelListen = undefined;
  }

  get #minIdle(): number {
    return this.#finishingSince === undefined ? this.#options.minIdle : 0;
  }

  /** A connection that lived for long enough is replaced at once; one that ended early waits for the sweep. */
  replace({ openedAt, lane }: Connection): void {
    if (this.#minIdle === 0 || lane !== "request") return;
    if (this.#options.now() - openedAt >= REPLACED_AFTER_MS) this.fill();
  }

  #sweep(): void {
    const now = this.#options.now();
    const silent = this.#underWay().filter((exchange) => {
      this.#findLeak(exchange, now);
      this.#endLasting(exchange, now);
      return !exchange.done && this.#isSilent(exchange, now);
    });
    if (silent.length > 0) this.#listenTo(silent);
    this.#slots.sweep(this.#minIdle);
    this.fill();
  }

  /** Opens what `minIdle` lacks. */
  fill(): void {
    const missing = this.#slots.missing(this.#minIdle);
    if (this.#options.now() < this.#fillAfter) return;
    // While the upstream cannot be reached one attempt is as good as many.
    for (let left = this.#failures > 0 ? Math.min(1, missing) : missing; left > 0; left -= 1)
      this.#openOne().then(
        () => (this.#failures = 0),
        () => this.#backOff(),
      );
  }

  /** A failure is counted and reported; a later sweep tries again. */
  #backOff(): void {
    const now = this.#options.now();
    // Of several at once the first one counts.
    if (now < this.#fillAfter) return;
    this.#failures += 1;
    const pauseMs = intervalOf(this.#options) * (2 ** Math.min(this.#failures - 1, 20) - 0.5);
    this.#fillAfter = now + Math.min(MAX_BACKOFF_MS, pauseMs);
  }

  #underWay(): Exchange[] {
    const found: Exchange[] = [];
    for (const { exchange } of this.#slots.all())
      if (exchange !== undefined && !exchange.done) found.push(exchange);
    return found;
  }

  /** After a while in which this process did nothing else, its timers come before what was sent to it. */
  #listenTo(silent: readonly Exchange[]): void {
    this.#cancelListen ??= this.#options.schedule(() => {
      this.#cancelListen = undefined;
      const now = this.#options.now();
      for (const exchange of silent)
        if (!exchange.done && this.#isSilent(exchange, now)) this.#end(exchange);
    }, LISTEN_MS);
  }

  #findLeak(exchange: Exchange, now: number): void {
    const { leakAfterMs } = this.#options;
    const { quietSince, paused, leaked } = exchange;
    if (!paused || leaked || leakAfterMs === 0 || quietSince === undefined) return;
    if (now - quietSince < leakAfterMs) return;
    exchange.leaked = true;
    this.#report.leak(exchange, now - quietSince);
  }

  #isSilent(exchange: Exchange, now: number): boolean {
    const since = exchange.quietSince ?? exchange.sentSince;
    const limitMs = this.#limitOf(exchange);
    return since !== undefined && limitMs !== 0 && now - since >= limitMs;
  }

  #end(exchange: Exchange): void {
    const limitMs = this.#limitOf(exchange);
    if (exchange.quietSince === undefined)
      exchange.abort(new RequestBodyTimeoutError(this.#slots.upstream, limitMs));
    else {
      const Reason = exchange.paused ? BodyNotReadError : BodyTimeoutError;
      exchange.abort(new Reason(this.#slots.upstream, limitMs));
    }
  }

  #limitOf({ endless, options: { bodyTimeout, eventTimeout } }: Exchange): number {
    return endless
      ? (eventTimeout ?? bodyTimeout ?? 0)
      : (bodyTimeout ?? this.#options.bodyTimeoutMs);
  }

  /** A call that answers with events may go on for a while after `close`, but not for ever. */
  #endLasting(exchange: Exchange, now: number): void {
    if (this.#finishingSince === undefined || !exchange.endless) return;
    const limitMs = this.#options.bodyTimeoutMs || LAST_EVENTS_MS;
    if (now - this.#finishingSince >= limitMs)
      exchange.abort(new PoolClosedError(this.#slots.upstream));
  }
}

function intervalOf(options: ResolvedPoolOptions): number {
  const { maxIdleTimeMs, maxLifetimeMs, bodyTimeoutMs, leakAfterMs } = options;
  const shortest = Math.min(
    maxIdleTimeMs,
    maxLifetimeMs,
    bodyTimeoutMs || Infinity,
    leakAfterMs || Infinity,
  );
  return Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, shortest / 4));
}
