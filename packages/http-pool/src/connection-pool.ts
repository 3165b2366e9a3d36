import type { Dispatcher } from "undici";
import { Beyond } from "./beyond.ts";
import type { Connection, Lane } from "./connection.ts";
import { PoolClosedError } from "./errors.ts";
import { Exchange } from "./exchange.ts";
import type { Carrier } from "./exchange.ts";
import { Growth } from "./growth.ts";
import { HealthChecker } from "./health-check.ts";
import type { HealthCheckResult, Probe } from "./health-check.ts";
import { KeepAlive } from "./keep-alive.ts";
import type { MetricFamily } from "./metric-families.ts";
import { integer, parseOrigin, resolvePoolOptions } from "./options.ts";
import type { ConnectionPoolOptions, ResolvedPoolOptions } from "./options.ts";
import { PoolDispatcher } from "./pool-dispatcher.ts";
import { poolFamilies } from "./pool-families.ts";
import { PoolCounters, statsOf } from "./pool-stats.ts";
import type { PoolStats } from "./pool-stats.ts";
import { laneOf, prepareDispatch } from "./prepare-dispatch.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { Refusals } from "./refusals.ts";
import { mayReplay } from "./replay.ts";
import { Report } from "./report.ts";
import { callStack } from "./call-stack.ts";
import { Slots } from "./slots.ts";
import { Sweeper } from "./sweeper.ts";
import { Unfinished } from "./unfinished.ts";
import { WaitQueue } from "./wait-queue.ts";

/** As `queueMicrotask`, which costs far more: Node makes an AsyncResource for each. */
const RETURNED = Promise.resolve();

/** Connections to one origin: bounded, reused, and never waited for beyond a deadline. */
export class ConnectionPool extends PoolDispatcher {
  /** The origin that it connects to. */
  readonly upstream: string;
  readonly #url: URL;
  readonly #options: ResolvedPoolOptions;
  readonly #counters = new PoolCounters();
  readonly #report: Report;
  readonly #slots: Slots;
  readonly #queue: WaitQueue;
  readonly #growth: Growth;
  readonly #beyond: Beyond;
  readonly #sweeper: Sweeper;
  readonly #keepAlive: KeepAlive;
  readonly #health: HealthChecker;
  readonly #carrier: Carrier;
  readonly #refusals: Refusals;
  readonly #unfinished: Unfinished;

  /** @throws InvalidArgumentError when the origin or an option is wrong */
  constructor(origin: string | URL, options: ConnectionPoolOptions = {}) {
    super();
    this.#url = parseOrigin("origin", origin);
    this.upstream = this.#url.origin;
    this.#options = resolvePoolOptions(options);
    const { maxIdle } = options;
    const { now } = this.#options;
    this.#report = new Report(this.upstream, this.#counters, now, {
      listens: (event) => this.listenerCount(event) > 0,
      send: (event, value) => this.send(event, value),
      announce: (event, error) => this.announce(event, this.#url, [], error),
    });
    const refusals = new Refusals(this.upstream, this.#options, this.#report);
    this.#refusals = refusals;
    this.#queue = new WaitQueue(this.#options, (exchange) => refusals.expire(exchange));
    this.#slots = new Slots(this.#url, this.#options, maxIdle, this.#report, {
      closed: (connection) => {
        this.#growth.grow(1);
        this.#beyond.closed();
        this.#sweeper.replace(connection);
        this.#unfinished.settle();
      },
      settled: () => this.#unfinished.settle(),
    });
    this.#unfinished = new Unfinished(this.#slots, this.#queue, {
      drain: () => this.announce("drain", this.#url, []),
      over: () => this.#over(),
    });
    this.#growth = new Growth(this.#slots, this.#queue, {
      opened: (connection) => this.#serve(connection),
      unavailable: (exchange, error) => refusals.unavailable(exchange, error),
    });
    this.#beyond = new Beyond(this.#options, this.#slots, {
      assign: (exchange, connection) => this.#assign(exchange, connection),
      reject: (exchange, why) => refusals.reject(exchange, why),
      expire: (exchange) => refusals.expire(exchange),
      unavailable: (exchange, error) => refusals.unavailable(exchange, error),
      waiting: () => this.#queue.size,
      freed: (count) => this.#growth.grow(count),
      ended: () => (this.#unfinished.ending ? new PoolClosedError(this.upstream) : undefined),
    });
    this.#sweeper = new Sweeper(this.#options, this.#slots, this.#report, () =>
      this.#growth.openOne(),
    );
    const probe = ({ connection, options: request, handler }: Probe): Exchange => {
      const exchange = this.#begin(request, handler, "probe");
      this.#assign(exchange, connection);
      return exchange;
    };
    this.#keepAlive = new KeepAlive(this.#options, this.#slots, probe);
    this.#health = new HealthChecker(this.#options, this.#slots, this.#report, probe);
    this.#carrier = {
      now,
      streaming: (exchange) => this.#streaming(exchange),
      schedule: this.#options.schedule,
      headersTimeoutMs: this.#options.headersTimeoutMs,
      started: (exchange, connection) => this.#report.started(exchange, connection),
      finished: (exchange, error) => this.#finished(exchange, error),
      release: (exchange, error) => this.#release(exchange, error),
      unavailable: (exchange, cause) => refusals.unavailable(exchange, cause),
      again: (exchange, error) => this.#again(exchange, error),
    };
    this.#sweeper.arm();
    // Once listeners could be added.
    if (this.#options.minIdle > 0) queueMicrotask(() => this.#sweeper.fill());
  }

  /**
   * Closes idle connections, and then those that come back, until no more than `maxConnections` are open.
   * @throws InvalidArgumentError
   */
  resize(maxConnections: number): void {
    this.#slots.max = integer("maxConnections", maxConnections, 1);
    this.#slots.trim();
    this.#growth.grow(Infinity);
  }

  /**
   * Opens connections until `count` are open; as many as `minIdle`, at least one, by default.
   * @throws InvalidArgumentError, UpstreamUnavailableError, AddressNotAllowedError
   */
  async warmUp(count: number = Math.max(1, this.#options.minIdle)): Promise<void> {
    integer("count", count, 1, this.#slots.max);
    if (this.#unfinished.ending) throw new PoolClosedError(this.upstream);
    const missing = Math.max(0, count - this.#slots.open - this.#slots.connecting);
    await Promise.all(Array.from({ length: missing }, () => this.#growth.openOne()));
  }

  /** Never rejects; calls while a check is under way share it. */
  healthCheck(): Promise<HealthCheckResult> {
    if (!this.#unfinished.ending) return this.#health.check();
    return Promise.resolve({ ok: false, durationMs: 0, error: new PoolClosedError(this.upstream) });
  }

  stats(): PoolStats {
    const { open, idle, active, connecting, singles, max } = this.#slots;
    const waiting = this.#queue.size + this.#beyond.waiting;
    return statsOf(
      { open, idle, active, connecting, streams: singles, waiting, maxConnections: max },
      this.#counters,
    );
  }

  metricFamilies(): readonly MetricFamily[] {
    return poolFamilies(
      () => [{ upstream: this.upstream, stats: this.stats() }],
      (upstream) => upstream,
    );
  }

  /** Whether a request, a stream or a health check is under way or waits. */
  get busy(): boolean {
    const { active, singles } = this.#slots;
    return this.#queue.size + this.#beyond.waiting + active + singles > 0;
  }

  /** Resolves once no request waits or is under way; streams do not count, new requests are still taken. */
  drain(): Promise<void> {
    return this.#unfinished.drain();
  }

  protected override accept(
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    const prepared = prepareDispatch(options, this.#url);
    const exchange = this.#begin(prepared, handler, laneOf(prepared));
    const { leakStackRatio, random } = this.#options;
    if (leakStackRatio > 0 && random() < leakStackRatio) exchange.stack = callStack(this);
    exchange.begin();
    if (!exchange.done) this.#admit(exchange);
    return this.#unfinished.mayGoOn();
  }

  protected override end(): Promise<void> {
    this.#unfinished.end();
    this.#sweeper.finish();
    for (const connection of this.#slots.all()) {
      if (connection.upgraded) this.#slots.letGo(connection);
      else if (connection.exchange?.isStream === true)
        this.#abort(connection, new PoolClosedError(this.upstream));
    }
    this.#slots.retireIdle("shutdown");
    return this.#unfinished.emptied();
  }

  protected override kill(error: Error = new PoolClosedError(this.upstream)): Promise<void> {
    const upgraded = [...this.#slots.all()].filter((connection) => connection.upgraded);
    this.#refusals.destroyed(error);
    const emptied = this.end();
    for (const connection of upgraded) this.#slots.retire(connection, "shutdown");
    this.#beyond.fail(error);
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift())
      next.fail(error);
    this.#slots.cancelOpenings(error);
    for (const connection of this.#slots.all()) this.#abort(connection, error);
    return emptied;
  }

  #begin(options: PoolDispatchOptions, handler: Dispatcher.DispatchHandler, lane: Lane): Exchange {
    const exchange = new Exchange(this.#carrier, options, handler, lane);
    this.#unfinished.begun(exchange);
    return exchange;
  }

  #admit(exchange: Exchange): void {
    if (this.#unfinished.ending) exchange.fail(new PoolClosedError(this.upstream));
    else if (exchange.lane === "stream") this.#beyond.admitStream(exchange);
    else {
      const connection = this.#slots.take();
      if (connection !== undefined) this.#assign(exchange, connection);
      else if (exchange.lane === "reply") this.#beyond.admitReply(exchange);
      else this.#enqueue(exchange);
    }
  }

  #enqueue(exchange: Exchange): void {
    this.#beyond.makeRoom(1);
    if (this.#queue.size >= this.#options.queueLimit + this.#slots.available)
      this.#refusals.reject(
        exchange,
        `all connections are in use and ${this.#queue.size} requests wait`,
      );
    else {
      this.#queue.push(exchange);
      this.#growth.grow(1);
    }
  }

  /** A GET that is answered with events counts as a stream from then on. */
  #streaming(exchange: Exchange): void {
    this.#beyond.began(exchange);
    if (exchange.lane === "stream" || !exchange.isStream) return;
    this.#unfinished.becameStream();
    if (this.#unfinished.ending) exchange.abort(new PoolClosedError(this.upstream));
    this.#unfinished.settle();
  }

  #assign(exchange: Exchange, connection: Connection, now?: number): void {
    exchange.attempts += 1;
    exchange.connection = connection;
    exchange.assignedAt = exchange.createdAt;
    if (exchange.queueNode !== undefined) {
      exchange.assignedAt = now ?? this.#options.now();
      this.#report.waited(exchange.assignedAt - exchange.queuedAt);
    }
    this.#sweeper.arm();
    connection.send(exchange);
  }

  #takeBack(connection: Connection): void {
    connection.exchange = undefined;
    this.#serve(connection);
  }

  /** A connection that is free goes to the one who waits longest, or becomes idle. */
  #serve(connection: Connection): void {
    const now = this.#options.now();
    const reply = connection.usable ? this.#beyond.nextReply() : undefined;
    const unfit = reply === undefined ? this.#slots.unfit(connection, now) : undefined;
    if (unfit !== undefined) this.#slots.retire(connection, unfit);
    else {
      const exchange = reply ?? this.#queue.shift(now);
      if (exchange !== undefined) this.#assign(exchange, connection, now);
      else if (this.#unfinished.ending) this.#slots.retire(connection, "shutdown");
      else {
        this.#slots.keep(connection, now);
        this.#keepAlive.arm();
      }
    }
    this.#unfinished.settle();
  }

  #finished(exchange: Exchange, error: Error | undefined): void {
    this.#queue.remove(exchange);
    exchange.cancelOpening?.();
    this.#beyond.ended(exchange);
    this.#unfinished.ended(exchange);
    this.#report.finished(exchange, error);
  }

  /** Only once undici has returned it is known whether it keeps the connection. */
  #release({ connection, started, keepsAlive }: Exchange, error: Error | undefined): void {
    if (connection === undefined) return;
    if (error !== undefined && started)
      this.#slots.retire(connection, keepsAlive ? "stale" : "error");
    void RETURNED.then(() => this.#takeBack(connection));
  }

  /**
   * A connection that was used before may have been closed by the server while the request was on its way.
   * Then those that are idle for as long are as dead, and another is the place to try once more.
   */
  #again(exchange: Exchange, error: Error): boolean {
    if (!mayReplay(exchange, error)) return false;
    if (exchange.started && !exchange.replayAllowed) return false;
    if (exchange.started) exchange.replayed = true;
    this.#release(exchange, error);
    if (exchange.connection !== undefined) this.#slots.retireStale(exchange.connection);
    this.#report.replay(error);
    exchange.reset();
    this.#queue.pushFirst(exchange);
    this.#growth.grow(1);
    return true;
  }

  #abort(connection: Connection, error: Error): void {
    this.#slots.retire(connection, "shutdown");
    connection.exchange?.abort(error);
  }

  #over(): void {
    this.#sweeper[Symbol.dispose]();
    this.#queue[Symbol.dispose]();
    this.#beyond[Symbol.dispose]();
    this.#keepAlive[Symbol.dispose]();
  }
}
