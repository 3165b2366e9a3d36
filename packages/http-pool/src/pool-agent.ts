import type { Dispatcher } from "undici";
import { ConnectionPool } from "./connection-pool.ts";
import { PoolClosedError, PoolExhaustedError } from "./errors.ts";
import { DEFAULT_MAX_REDIRECTS } from "./lean-fetch.ts";
import type { MetricFamily } from "./metric-families.ts";
import {
  integer,
  optionalFn,
  optionalObject,
  parseOrigin,
  refuseUnknown,
  resolvePoolOptions,
} from "./options.ts";
import type { ConnectionPoolOptions } from "./options.ts";
import { PoolDispatcher } from "./pool-dispatcher.ts";
import { PoolRelay } from "./pool-relay.ts";
import { poolFamilies } from "./pool-families.ts";
import type { UpstreamStats } from "./pool-families.ts";
import { countsOnly, sumStats } from "./pool-stats.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { PoolDispatchOptions } from "./prepare-dispatch.ts";
import { UpstreamLabels } from "./upstream-labels.ts";

const RETRY_AFTER_MS = 1000;
const KNOWN: PoolAgentOptions = {
  maxOrigins: undefined,
  pool: undefined,
  maxRedirects: undefined,
  allowAddress: undefined,
};

export interface PoolAgentOptions {
  /** Origins with a pool at the same time; the one unused longest gives way. */
  readonly maxOrigins?: number | undefined;
  /** Of every pool. */
  readonly pool?: ConnectionPoolOptions | undefined;
  /** That `fetch` follows. */
  readonly maxRedirects?: number | undefined;
  /** Asked for every address at connect time, after DNS, for redirects too. */
  readonly allowAddress?: ((address: string) => boolean) | undefined;
}

/** The sum of all upstreams, those whose pool is gone included. */
export interface PoolAgentStats extends PoolStats {
  /** Pools at present. */
  readonly origins: number;
  /** By origin; beyond the first `maxOrigins` origins under `_OTHER`. */
  readonly upstreams: Readonly<Record<string, PoolStats>>;
}

/** Many origins, a `ConnectionPool` each. */
export class PoolAgent extends PoolDispatcher {
  readonly #maxOrigins: number;
  readonly #poolOptions: ConnectionPoolOptions;
  readonly #labels: UpstreamLabels;
  /** In the order of their last use. */
  readonly #pools = new Map<string, ConnectionPool>();
  /** Gave way, and close. */
  readonly #closing = new Set<ConnectionPool>();
  /** What pools that are gone have counted, by label. */
  readonly #gone = new Map<string, PoolStats>();
  readonly #relay: PoolRelay;
  #ending = false;

  /** @throws InvalidArgumentError naming the first option that is wrong */
  constructor(options: PoolAgentOptions = {}) {
    optionalObject("options", options);
    super(integer("maxRedirects", options.maxRedirects ?? DEFAULT_MAX_REDIRECTS, 0));
    optionalObject("pool", options.pool);
    const { allowAddress = options.pool?.allowAddress } = options;
    optionalFn("allowAddress", allowAddress);
    refuseUnknown("", options, KNOWN);
    this.#maxOrigins = integer("maxOrigins", options.maxOrigins ?? 100, 1);
    this.#poolOptions = { ...options.pool, ...(allowAddress && { allowAddress }) };
    resolvePoolOptions(this.#poolOptions);
    this.#labels = new UpstreamLabels(this.#maxOrigins);
    this.#relay = new PoolRelay(
      this,
      () => this.#all(),
      (event, value) => this.send(event, value),
    );
  }

  /**
   * Opens connections to an origin until `count` are open; as many as `minIdle`, at least one, by default.
   * @throws InvalidArgumentError, UpstreamUnavailableError, AddressNotAllowedError, PoolExhaustedError
   */
  async warmUp(origin: string | URL, count?: number): Promise<void> {
    await this.#poolOf(parseOrigin("origin", origin).origin).warmUp(count);
  }

  stats(): PoolAgentStats {
    const upstreams = this.#byLabel();
    const total = sumStats([...upstreams.values()]);
    return { ...total, origins: this.#pools.size, upstreams: Object.fromEntries(upstreams) };
  }

  metricFamilies(): readonly MetricFamily[] {
    const read = (): readonly UpstreamStats[] =>
      Array.from(this.#byLabel(), ([upstream, stats]) => ({ upstream, stats }));
    return poolFamilies(read, this.#labels.of);
  }

  protected override accept(
    options: PoolDispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean {
    return this.#poolOf(options.origin).dispatch(options, handler);
  }

  protected override async end(): Promise<void> {
    this.#ending = true;
    await Promise.all(this.#all().map((pool) => pool.close()));
  }

  protected override async kill(reason: Error | undefined): Promise<void> {
    this.#ending = true;
    await Promise.all(this.#all().map((pool) => pool.destroy(reason)));
  }

  #all(): ConnectionPool[] {
    return [...this.#pools.values(), ...this.#closing];
  }

  #poolOf(origin: unknown): ConnectionPool {
    const known = typeof origin === "string" ? this.#pools.get(origin) : undefined;
    const key = known?.upstream ?? parseOrigin("origin", origin).origin;
    const pool = known ?? this.#pools.get(key) ?? this.#create(key);
    this.#pools.delete(key);
    this.#pools.set(key, pool);
    return pool;
  }

  #create(origin: string): ConnectionPool {
    if (this.#ending) throw new PoolClosedError(origin);
    if (this.#pools.size >= this.#maxOrigins) this.#evict(origin);
    this.#labels.of(origin);
    const pool = new ConnectionPool(origin, this.#poolOptions);
    this.follow(pool);
    this.#relay.add(pool);
    return pool;
  }

  #evict(origin: string): void {
    for (const [key, pool] of this.#pools) {
      if (pool.busy) continue;
      this.#pools.delete(key);
      void this.#retire(pool);
      return;
    }
    throw new PoolExhaustedError(
      origin,
      `${this.#maxOrigins} other origins are in use`,
      RETRY_AFTER_MS,
    );
  }

  async #retire(pool: ConnectionPool): Promise<void> {
    this.#closing.add(pool);
    await pool.close();
    this.#closing.delete(pool);
    const label = this.#labels.of(pool.upstream);
    const before = this.#gone.get(label);
    const after = countsOnly(pool.stats());
    this.#gone.set(label, before === undefined ? after : sumStats([before, after]));
  }

  #byLabel(): Map<string, PoolStats> {
    const groups = new Map([...this.#gone].map(([label, stats]) => [label, [stats]]));
    for (const pool of this.#all()) {
      const label = this.#labels.of(pool.upstream);
      const group = groups.get(label);
      if (group === undefined) groups.set(label, [pool.stats()]);
      else group.push(pool.stats());
    }
    return new Map([...groups].map(([label, stats]) => [label, sumStats(stats)]));
  }
}
