import type { CacheEventMap, CacheEventName } from "./cache-events.ts";
import { Announcer } from "./cache-events.ts";
import { checkTags, typed } from "./checks.ts";
import type { Engine } from "./engine.ts";
import { CacheClosedError, CacheOptionError, InvalidationError, RuleError } from "./errors.ts";
import type { CacheInvalidationEvent } from "./event-bus.ts";
import { CacheEventBus } from "./event-bus.ts";
import { readEvent, writeEvent } from "./event-text.ts";
import type { Compute } from "./flight.ts";
import { Host } from "./host.ts";
import { LocalEngine } from "./local-engine.ts";
import type { MetricFamily } from "./metric-families.ts";
import { cacheFamilies } from "./metric-families.ts";
import type {
  EventCacheOptions,
  GetOrSetOptions,
  KeyOptions,
  Rules,
  SetOptions,
} from "./options.ts";
import { isTags, resolveOptions } from "./options.ts";
import type { Selection } from "./selection.ts";
import { resolveSelection } from "./selection.ts";
import type { CacheStats, CacheTotals } from "./stats.ts";
import { CacheCounts, namespaceStats } from "./stats.ts";
import { StrictEngine } from "./strict-engine.ts";

/**
 * A cache whose reads never return what was invalidated before they began: not from an entry, and not from a compute that began
 * before. Without `store`, values are kept in memory as references. With `store`, every read asks the store (strict mode), or a mirror
 * of its fences where the store has one.
 */
export class EventCache<E extends { readonly type: string } = CacheInvalidationEvent> {
  readonly bus: CacheEventBus<E>;
  readonly #host: Host;
  readonly #engine: Engine;
  readonly #rules: Rules<E>;
  readonly #hearing: Disposable | undefined;

  /** @throws CacheOptionError */
  constructor(options: EventCacheOptions<E> = {}) {
    const settings = resolveOptions(options);
    const { store, epoch, timers, subscriberTimeoutMs } = settings;
    if (store !== undefined && epoch !== undefined)
      throw new CacheOptionError("epoch", "undefined when there is a store", epoch);
    const host = new Host(settings, new Announcer(), new CacheCounts());
    this.#host = host;
    this.#engine = store === undefined ? new LocalEngine(host) : new StrictEngine(host, store);
    this.#rules = options.rules ?? {};
    this.bus = new CacheEventBus<E>({
      timers,
      timeoutMs: subscriberTimeoutMs,
      fence: (event) => this.#applyRule(event),
      failed: (type, error) => host.announcer.emit("subscriberError", { type, error }),
    });
    this.#hearing = this.#engine.listen((text) => {
      const event = readEvent(text, settings.name);
      return event && this.bus.deliver(event as E);
    });
  }

  /**
   * The cached value, or that of `compute`, which is shared by the reads that may have it. `undefined` is not cached.
   *
   * @throws LoadTimeoutError, whatever `compute` throws, or the reason of `options.signal`.
   */
  getOrSet<V>(key: string, compute: Compute<V>, options?: GetOrSetOptions): Promise<V> {
    if (this.#host.closed !== undefined) return Promise.reject(this.#host.closed);
    return this.#engine.getOrSet(key, compute, options) as Promise<V>;
  }

  /** A hit in memory, at once. What it does not find is not counted as a miss; with a store that has no mirror it never finds anything. */
  peek<V>(key: string, options?: KeyOptions): V | undefined {
    if (this.#host.closed !== undefined) return undefined;
    return this.#engine.peek(key, options?.namespace) as V | undefined;
  }

  async get<V>(key: string, options?: KeyOptions): Promise<V | undefined> {
    this.#checkOpen();
    return (await this.#engine.get(key, options?.namespace)) as V | undefined;
  }

  /** Stores a value as of now; a compute under way for the key will not replace it. */
  async set(key: string, value: unknown, options?: SetOptions): Promise<void> {
    this.#checkOpen();
    await this.#engine.set(key, value, options);
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
   * Invalidates what matches everything in `selection`; without one, everything.
   *
   * @throws SelectionError when there is a store and it cannot select so.
   */
  async clear(selection?: Selection): Promise<void> {
    this.#checkOpen();
    await this.#engine.clear(resolveSelection(selection));
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
    await this.#engine.invalidate(tags);
    let result: T;
    try {
      result = await fn();
    } catch (error) {
      await this.#engine.invalidate(tags).catch(() => {});
      throw error;
    }
    await this.#engine.invalidate(tags).catch((error: unknown) => {
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
    return { ...this.#totals(), byNamespace: Object.fromEntries(spaces) };
  }

  metricFamilies(): readonly MetricFamily[] {
    return cacheFamilies(this.#host.settings.name, () => this.#totals());
  }

  on<N extends CacheEventName>(name: N, listener: CacheEventMap[N]): this {
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
    this.bus.close();
    host.announcer.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #totals(): CacheTotals {
    const { counts, running, bypassed } = this.#host;
    const { entries, bytes, tags, ghosts } = this.#engine.usage();
    const { invalidations, verifyMismatches, storeErrors } = counts;
    return {
      ...namespaceStats(counts, entries),
      invalidations,
      memoryBytes: bytes,
      verifyMismatches,
      storeErrors,
      bypassed,
      flights: running.size,
      tags,
      ghosts,
    };
  }

  async #applyRule(event: E): Promise<void> {
    this.#checkOpen();
    const rules: Readonly<Record<string, ((event: never) => unknown) | undefined>> = this.#rules;
    const rule = Object.hasOwn(rules, event.type) ? rules[event.type] : undefined;
    let tags: unknown;
    try {
      tags = rule === undefined ? [] : rule(event as never);
      if (!isTags(tags)) throw new CacheOptionError("tags", "an array of strings", tags);
    } catch (cause) {
      await this.#engine.clear(undefined);
      throw new RuleError(event.type, cause);
    }
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
