import { Connection } from "./connection.ts";
import type { CloseReason, Lane } from "./connection.ts";
import { Connector } from "./connector.ts";
import { IdleList } from "./idle-list.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { Report } from "./report.ts";

/** No server ends connections that were idle for less; what broke then is no sign for the others. */
const MIN_STALE_MS = 500;

type Done = (error: Error | undefined, connection: Connection | undefined) => void;

/** What the slots tell the pool. */
export interface SlotsOwner {
  /** A connection ended, and its slot is free. */
  closed(connection: Connection): void;
  /** An attempt to open one ended without a connection. */
  settled(): void;
}

/** The connections of a pool: which are open, which of them idle, how many may be. */
export class Slots {
  max: number;
  readonly #maxIdle: number | undefined;
  readonly #origin: URL;
  readonly #options: ResolvedPoolOptions;
  readonly #report: Report;
  readonly #owner: SlotsOwner;
  readonly #connector: Connector;
  readonly #idle = new IdleList();
  readonly #open = new Set<Connection>();
  /** Beyond `max`: streams, replies, health checks, and what was lent. */
  readonly #singles = new Set<Connection>();
  /** Of the open ones, those that were told to close; they keep their slot until they are closed. */
  readonly #ending = new Set<Connection>();
  readonly #openings = new Set<(reason?: Error) => void>();
  #connecting = 0;
  #connectingSingles = 0;
  #replies = 0;

  constructor(
    origin: URL,
    options: ResolvedPoolOptions,
    maxIdle: number | undefined,
    report: Report,
    owner: SlotsOwner,
  ) {
    this.max = options.maxConnections;
    this.#maxIdle = maxIdle;
    this.#origin = origin;
    this.#options = options;
    this.#report = report;
    this.#owner = owner;
    this.#connector = new Connector(origin, options);
  }

  get upstream(): string {
    return this.#origin.origin;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    return this.#idle.size;
  }

  get active(): number {
    return this.#alive - this.#idle.size;
  }

  get connecting(): number {
    return this.#connecting;
  }

  /** Open or being opened, beyond `max`. */
  get singles(): number {
    return this.#singles.size + this.#connectingSingles;
  }

  /** Of those, all but the replies. */
  get streams(): number {
    return this.singles - this.#replies;
  }

  get replies(): number {
    return this.#replies;
  }

  get free(): number {
    return Math.max(0, this.max - this.#open.size - this.#connecting);
  }

  /** Slots that are free, being filled or about to be free: good for a request each. */
  get available(): number {
    return Math.max(0, this.max - this.#alive);
  }

  /** Nothing is open and nothing being opened. */
  get empty(): boolean {
    return this.#open.size + this.#connecting + this.singles === 0;
  }

  get maxIdle(): number {
    return this.#maxIdle ?? this.max;
  }

  /** The connection used last that still can be used. */
  take(): Connection | undefined {
    if (this.#idle.size === 0) return undefined;
    const now = this.#options.now();
    for (let found = this.#idle.pop(); found !== undefined; found = this.#idle.pop()) {
      found.idleMs = now - found.idleSince;
      if (found.usable && now < found.expiresAt) return found;
      // One whose end is only being noticed has no use for its slot either.
      this.retire(found, found.usable ? "lifetime" : "peer");
    }
    return undefined;
  }

  keep(connection: Connection, now: number): void {
    connection.idleSince = now;
    connection.rested = true;
    if (!connection.keptAlive) connection.unusedSince = connection.idleSince;
    this.#idle.push(connection);
    this.trim();
  }

  /** Evicts the longest idle until there are neither too many idle ones nor too many in all. */
  trim(): void {
    for (let { longestIdle } = this.#idle; longestIdle !== undefined;) {
      if (this.#alive > this.max) this.retire(longestIdle, "resize");
      else if (this.#idle.size > this.maxIdle) this.retire(longestIdle, "idle");
      else return;
      ({ longestIdle } = this.#idle);
    }
  }

  /** Why a connection that comes back must not be used again. */
  unfit(connection: Connection, now: number): CloseReason | undefined {
    if (!connection.usable) return connection.closeReason;
    if (connection.lane !== "request" || !this.#takeBack(connection)) return "single";
    if (this.#alive > this.max) return "resize";
    return now >= connection.expiresAt ? "lifetime" : undefined;
  }

  /** Whether it counts against `max`, and is not about to end. */
  holds(connection: Connection): boolean {
    return this.#open.has(connection) && !this.#ending.has(connection);
  }

  /** Its slot goes to another, until it is free again. */
  lend(connection: Connection): boolean {
    if (!this.holds(connection)) return false;
    this.#open.delete(connection);
    this.#singles.add(connection);
    return true;
  }

  /** It lives on without the pool. */
  letGo(connection: Connection): void {
    this.#open.delete(connection);
    this.#singles.delete(connection);
  }

  /** Whether a connection carries a request that has an end. */
  get busy(): boolean {
    for (const connection of this.all()) {
      const { exchange, upgraded } = connection;
      if (exchange === undefined || exchange.isStream || upgraded) continue;
      if (!this.#ending.has(connection)) return true;
    }
    return false;
  }

  retire(connection: Connection, reason: CloseReason): void {
    this.#idle.remove(connection);
    if (this.#open.has(connection)) this.#ending.add(connection);
    connection.close(reason);
  }

  retireIdle(reason: CloseReason): void {
    for (const connection of this.#idle) this.retire(connection, reason);
  }

  /** Ends those that are idle for as long as one was whose server had ended it. */
  retireStale({ idleMs }: Connection): void {
    if (idleMs < MIN_STALE_MS) return;
    const idleBefore = this.#options.now() - idleMs;
    for (const connection of this.#idle)
      if (connection.idleSince <= idleBefore) this.retire(connection, "stale");
  }

  /** Ends what is too old. */
  sweep(minIdle: number): void {
    const now = this.#options.now();
    const unusedBefore = now - this.#options.maxIdleTimeMs;
    for (const connection of this.#idle) {
      if (now >= connection.expiresAt) this.retire(connection, "lifetime");
      else if (connection.unusedSince <= unusedBefore && this.#idle.size > minIdle)
        this.retire(connection, "idle");
    }
  }

  /** How many idle ones are missing. */
  missing(minIdle: number): number {
    if (minIdle === 0) return 0;
    let ready = this.#idle.size + this.#connecting;
    // One that is being kept alive is as good as idle.
    for (const { exchange } of this.#open) if (exchange?.keepsAlive === true) ready += 1;
    return Math.min(this.free, Math.max(0, minIdle - ready));
  }

  /** The `count` idle ones used last, from the last. */
  usedLast(count: number): readonly Connection[] {
    return this.#idle.last(count);
  }

  /** Takes one that is idle out of turn. */
  lift(connection: Connection): void {
    this.#idle.remove(connection);
  }

  *all(): Generator<Connection, void> {
    yield* this.#open;
    yield* this.#singles;
  }

  cancelOpenings(reason: Error): void {
    for (const cancel of this.#openings) cancel(reason);
  }

  /** Opens a connection; the returned function gives up, and `done` is then not called. */
  connect(lane: Lane, done: Done): () => void {
    const single = lane !== "request";
    if (lane === "reply") this.#replies += 1;
    const startedAt = this.#options.now();
    this.#count(single, 1);
    const end = (): void => {
      this.#openings.delete(cancel);
      this.#count(single, -1);
    };
    const stop = this.#connector.open((error, socket) => {
      end();
      const durationMs = this.#options.now() - startedAt;
      if (socket === undefined) {
        const reason = error ?? new Error("no socket");
        if (lane === "reply") this.#replies -= 1;
        this.#report.openFailed(reason, durationMs);
        done(reason, undefined);
        this.#owner.settled();
        return;
      }
      const connection = new Connection(this.#origin, socket, lane, this.#options, this.#onClosed);
      (single ? this.#singles : this.#open).add(connection);
      this.#report.opened(durationMs);
      done(undefined, connection);
    });
    const cancel = (reason?: Error): void => {
      if (!this.#openings.has(cancel)) return;
      end();
      stop();
      if (lane === "reply") this.#replies -= 1;
      if (reason !== undefined) done(reason, undefined);
      this.#owner.settled();
    };
    this.#openings.add(cancel);
    return cancel;
  }

  #count(single: boolean, change: 1 | -1): void {
    if (single) this.#connectingSingles += change;
    else this.#connecting += change;
  }

  #takeBack(connection: Connection): boolean {
    if (this.#open.has(connection)) return true;
    if (this.free === 0) return false;
    this.#singles.delete(connection);
    this.#open.add(connection);
    return true;
  }

  get #alive(): number {
    return this.#open.size - this.#ending.size;
  }

  readonly #onClosed = (connection: Connection): void => {
    this.#idle.remove(connection);
    this.#open.delete(connection);
    this.#ending.delete(connection);
    this.#singles.delete(connection);
    if (connection.lane === "reply") this.#replies -= 1;
    this.#report.closed(connection);
    this.#owner.closed(connection);
  };
}
