import type { CacheEventMap, CacheEventName } from "./cache-events.ts";
import { Announcer, checkEventName } from "./cache-events.ts";
import type { ComputeMany } from "./batch.ts";
import type { CacheKey, PlainKey } from "./cache-key.ts";
import { checkTags, typed } from "./checks.ts";
import type { Engine } from "./engine.ts";
import { CacheClosedError, CacheOptionError, InvalidationError } from "./errors.ts";
import type { CacheInvalidationEvent } from "./event-bus.ts";
import { CacheEventBus } from "./event-bus.ts";
import { EventRules } from "./event-rules.ts";
import { readEvent, writeEvent } from "./event-text.ts";
import type { Compute } from "./flight.ts";
import { Host } from "./host.ts";
import { LocalEngine } from "./local-engine.ts";
import { getMany, getOrSetMany, setMany } from "./many.ts";
import type { MetricFamily } from "./metric-families.ts";
import { cacheFamilies } from "./metric-families.ts";
import type {
  EventCacheOptions,
  GetOrSetManyOptions,
  GetOrSetOptions,
  KeyOptions,
  SetManyOptions,
  SetOptions,
} from "./options.ts";
import { resolveOptions } from "./options.ts";
import type { EventSelection, Selection } from "./selection.ts";
import { resolveSelection } from "./selection.ts";
import type { CacheStats, CacheTotals } from "./stats.ts";
import { CacheCounts, namespaceStats } from "./stats.ts";
import { StrictEngine } from "./strict-engine.ts";
import { topTags } from "./top-tags.ts";

/**
 * A cache whose reads never return what was invalidated before they began: not from an entry, and not from a compute that began
 * before. Without `store`, values are kept in memory as references. With `store`, every read asks the store (strict mode), or a mirror
 * of its fences where the store has one.
 */
export class EventCache<E extends { readonly type: string } = CacheInvalidationEvent> {
  readonly bus: CacheEventBus<E>;
  readonly #host: Host;
  readonly #engine: Engine;
  readonly #rules: EventRules<E>;
  readonly #hearing: Disposable | undefined;
  readonly #leaveBus: () => void;
  readonly #ownsBus: boolean;

  /** @throws CacheOptionError */
  constructor(options: EventCacheOptions<E> = {}) {
    const settings = resolveOptions(options);
    const { store, timers, subscriberTimeoutMs } = settings;
    const host = new Host(settings, new Announcer(), new CacheCounts());
    this.#host = host;
    this.#engine = store === undefined ? new LocalEngine(host) : new StrictEngine(host, store);
    this.#rules = new EventRules<E>(options.rules ?? {}, this.#engine);
    this.#ownsBus = options.bus === undefined;
    this.bus = options.bus ?? new CacheEventBus<E>({ timers, subscriberTimeoutMs });
    this.#leaveBus = this.bus.attach({
      fence: (event) => this.#rules.apply(event, (tags) => this.#invalidateFor(event, tags)),
      subscriberFailed: (type, error) => host.announcer.emit("subscriberError", { type, error }),
    });
    this.#hearing = this.#engine.listen((text) => {
      const event = readEvent(text, settings.name);
      return event && this.bus.deliver(event as E);
    });
  }

  /**
   * The cached value, or that of `compute`, which is shared by the reads that may have it. `undefined` is not cached, unless there
   * is a `negativeTtlMs`.
   *
   * @throws LoadTimeoutError, CacheCycleError, whatever `compute` throws, or the reason of `options.signal`.
   */
  getOrSet<V>(
    key: CacheKey<V>,
    compute: Compute<NoInfer<V>>,
    options?: GetOrSetOptions,
  ): Promise<V>;
  getOrSet<V>(key: PlainKey, compute: Compute<V>, options?: GetOrSetOptions): Promise<V>;
  getOrSet<V>(key: string, compute: Compute<V>, options?: GetOrSetOptions): Promise<V> {
    if (this.#host.closed !== undefined) return Promise.reject(this.#host.closed);
    return this.#engine.getOrSet(key, compute, options) as Promise<V>;
  }

  /**
   * `getOrSet` of at most 10,000 keys, with one compute for all that have to be computed. A key that is being computed already is
   * waited for. The values are in the order of the keys.
   *
   * @throws what `getOrSet` throws for any one of the keys.
   */
  getOrSetMany<V>(
    keys: readonly CacheKey<V>[],
    computeMany: ComputeMany<CacheKey<V>, NoInfer<V>>,
    options?: GetOrSetManyOptions<CacheKey<V>>,
  ): Promise<(V | undefined)[]>;
  getOrSetMany<V>(
    keys: readonly PlainKey[],
    computeMany: ComputeMany<string, V>,
    options?: GetOrSetManyOptions,
  ): Promise<(V | undefined)[]>;
  async getOrSetMany<K extends string, V>(
    keys: readonly K[],
    computeMany: ComputeMany<K, V>,
    options?: GetOrSetManyOptions<K>,
  ): Promise<(V | undefined)[]> {
    this.#checkOpen();
    return (await getOrSetMany(this.#engine, keys, computeMany, options)) as (V | undefined)[];
  }

  /** A hit in memory, at once. What it does not find is not counted as a miss; with a store that has no mirror it never finds anything. */
  peek<V>(key: CacheKey<V>, options?: KeyOptions): V | undefined;
  peek<V>(key: PlainKey, options?: KeyOptions): V | undefined;
  peek(key: string, options?: KeyOptions): unknown {
    if (this.#host.closed !== undefined) return undefined;
    return this.#engine.peek(key, options?.namespace);
  }

  get<V>(key: CacheKey<V>, options?: KeyOptions): Promise<V | undefined>;
  get<V>(key: PlainKey, options?: KeyOptions): Promise<V | undefined>;
  async get(key: string, options?: KeyOptions): Promise<unknown> {
    this.#checkOpen();
    return this.#engine.get(key, options?.namespace);
  }

  /** `get` of at most 10,000 keys; the values are in their order. */
  getMany<V>(keys: readonly CacheKey<V>[], options?: KeyOptions): Promise<(V | undefined)[]>;
  getMany<V>(keys: readonly PlainKey[], options?: KeyOptions): Promise<(V | undefined)[]>;
  async getMany(keys: readonly string[], options?: KeyOptions): Promise<unknown[]> {
    this.#checkOpen();
    return getMany(this.#engine, keys, options);
  }

  /** Stores a value as of now; a compute under way for the key will not replace it. */
  set<V>(key: CacheKey<V>, value: NoInfer<V>, options?: SetOptions): Promise<void>;
  set(key: PlainKey, value: unknown, options?: SetOptions): Promise<void>;
  async set(key: string, value: unknown, options?: SetOptions): Promise<void> {
    this.#checkOpen();
    await this.#engine.set(key, value, options);
  }

  /** `set` of at most 10,000 entries. */
  setMany<V>(
    entries: Iterable<readonly [CacheKey<V>, NoInfer<V>]>,
    options?: SetManyOptions<CacheKey<V>>,
  ): Promise<void>;
  setMany(entries: Iterable<readonly [PlainKey, unknown]>, options?: SetManyOptions): Promise<void>;
  async setMany(
    entries: Iterable<readonly [string, unknown]>,
    options?: SetManyOptions<never>,
  ): Promise<void> {
    this.#checkOpen();
    await setMany(this.#engine, entries as Iterable<readonly [never, unknown]>, options);
  }

  async delete(key: string, options?: KeyOptions): Promise<void> {
    this.#checkOpen();
    await this.#engine.delete(key, options?.namespace);
  }

  /** @throws InvalidationError when the store did not confirm. */
  async invalidateByTags(tags: readonly string[]): Promise<void> {
    this.#checkOpen();
    await this.#engine.invalidate(tags);
  }

  /**
   * Invalidates what matches everything in `selection`; without one, everything. With an event, what its rule says; the event
   * does not reach the subscribers of the bus.
   *
   * @throws SelectionError when there is a store and it cannot select so.
   * @throws RuleError when the event's rule is broken; everything is invalidated then.
   */
  async clear(selection?: Selection | EventSelection<E>): Promise<void> {
    this.#checkOpen();
    const resolved = resolveSelection(selection);
    if (resolved?.event === undefined) return this.#engine.clear(resolved);
    const { event, ...rest } = resolved;
    if (!this.#rules.has(event.type))
      throw new CacheOptionError("event", "an event that has a rule", event.type);
    await this.#rules.apply(event, (tags) => this.#engine.clear({ ...rest, tags }));
  }

  /** The tags of an operation, from the option `operations`; none for an operation it does not list. */
  tagOperation(name: string): readonly string[] {
    return this.#host.settings.operations.get(name) ?? [];
  }

  /** Runs a mutation between two invalidations of `tags`; the second one also when it throws. */
  async write<T>(tags: readonly string[], fn: () => T | Promise<T>): Promise<T> {
    this.#checkOpen();
    checkTags(tags);
    typed("function")("fn", fn);
    const own = [...tags];
    await this.#engine.invalidate(own);
    let result: T;
    try {
      result = await fn();
    } catch (error) {
      await this.#engine.invalidate(own).catch(() => {});
      throw error;
    }
    await this.#engine.invalidate(own).catch((error: unknown) => {
      throw InvalidationError.afterWrite(error);
    });
    return result;
  }

  /** Off or on again while running. Invalidations count either way, so nothing that went stale meanwhile comes back. */
  bypass(on: boolean): void {
    typed("boolean")("on", on);
    this.#host.bypassed = on;
  }

  get bypassed(): boolean {
    return this.#host.bypassed;
  }

  stats(): CacheStats {
    const spaces = [...this.#engine.spaces()].map(
      ({ name, counts, entries }) => [name, namespaceStats(counts, entries.size)] as const,
    );
    return {
      ...this.#totals(),
      byNamespace: Object.fromEntries(spaces),
      byTag: topTags(this.#engine.tags?.() ?? []),
    };
  }

  metricFamilies(): readonly MetricFamily[] {
    return cacheFamilies(this.#host.settings.name, () => this.#totals());
  }

  on<N extends CacheEventName>(name: N, listener: CacheEventMap[N]): this {
    checkEventName(name);
    typed("function")("listener", listener);
    this.#host.announcer.on(name, listener);
    return this;
  }

  off<N extends CacheEventName>(name: N, listener: CacheEventMap[N]): this {
    this.#host.announcer.off(name, listener);
    return this;
  }

  listenerCount(name: CacheEventName): number {
    return this.#host.announcer.listenerCount(name);
  }

  /** Ends the computes under way and drops everything; the store is left open. Calls after it reject with CacheClosedError. */
  async close(): Promise<void> {
    const host = this.#host;
    if (host.closed !== undefined) return;
    host.closed = new CacheClosedError(host.settings.name);
    for (const flight of host.running) flight.abandon(host.closed, "aborted");
    this.#hearing?.[Symbol.dispose]();
    this.#engine.close();
    this.#leaveBus();
    if (this.#ownsBus) this.bus.close(host.closed);
    host.announcer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #totals(): CacheTotals {
    const { counts, running, bypassed } = this.#host;
    const { entries, bytes, tags, ghosts, refreshes = 0 } = this.#engine.usage();
    const { invalidations, verifyMismatches, storeErrors } = counts;
    return {
      ...namespaceStats(counts, entries),
      invalidations,
      memoryBytes: bytes,
      verifyMismatches,
      storeErrors,
      bypassed,
      refreshes,
      flights: running.size,
      tags,
      ghosts,
    };
  }

  async #invalidateFor(event: E, tags: readonly string[]): Promise<void> {
    const text = this.#engine.carriesEvents ? this.#writeEvent(event) : undefined;
    if (tags.length > 0 || text !== undefined) await this.#engine.invalidate(tags, text);
  }

  /** An event that is not plain JSON stays in this process; it invalidates all the same. */
  #writeEvent(event: E): string | undefined {
    const { settings, announcer } = this.#host;
    try {
      return writeEvent(event, settings.name);
    } catch (error) {
      announcer.emit("subscriberError", { type: event.type, error });
      return undefined;
    }
  }

  #checkOpen(): void {
    if (this.#host.closed !== undefined) throw this.#host.closed;
  }
}
