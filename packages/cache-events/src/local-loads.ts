import { checkAccess, checkFunction } from "./checks.ts";
import type { EntryTable } from "./entry-table.ts";
import type { Compute } from "./flight.ts";
import type { Freshness } from "./freshness.ts";
import { Failure, freshnessOf, staleUntil } from "./freshness.ts";
import type { Host } from "./host.ts";
import { LocalFlight } from "./local-flight.ts";
import { LocalPlan } from "./local-plan.ts";
import { LocalStandIn } from "./local-stand-in.ts";
import type { Entry } from "./memory-tier.ts";
import type { GetOrSetOptions } from "./options.ts";
import { Refresher } from "./refresher.ts";

const noTags: readonly string[] = [];

/** What a read of the local engine does when it is not just a hit. */
export class LocalLoads {
  readonly #host: Host;
  readonly #table: EntryTable;
  readonly #refresher: Refresher;

  constructor(host: Host, table: EntryTable) {
    this.#host = host;
    this.#table = table;
    this.#refresher = new Refresher(host.settings);
  }

  get refreshes(): number {
    return this.#refresher.running;
  }

  load(key: string, compute: Compute<unknown>, options: GetOrSetOptions = {}): Promise<unknown> {
    try {
      return this.#load(key, compute, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** For this reader only: neither shared nor stored. */
  async alone(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions = {},
  ): Promise<unknown> {
    checkAccess(key, options);
    checkFunction("compute", compute);
    options.signal?.throwIfAborted();
    const flight = this.#flight(key, options);
    const result = flight.wait(options.signal);
    this.#fly(flight, compute, options, freshnessOf(this.#host.settings, options));
    return result;
  }

  miss(key: string, namespace: string | undefined): void {
    const space = this.#table.spaces.open(namespace);
    this.#host.miss(space, key, this.#table.clean(space, key));
  }

  /** Without a promise of its own: what a load costs is what it allocates. */
  #load(key: string, compute: Compute<unknown>, options: GetOrSetOptions): Promise<unknown> {
    checkAccess(key, options);
    checkFunction("compute", compute);
    options.signal?.throwIfAborted();
    const fresh = freshnessOf(this.#host.settings, options);
    const entry = this.#table.held(key, options.namespace);
    const kept = entry && this.#fromKept(entry, compute, options, fresh);
    if (kept !== undefined) return Promise.resolve(kept.value);
    const standIn = entry && this.#standIn(entry, fresh);
    this.miss(key, options.namespace);
    return this.#compute(key, compute, options, fresh, standIn);
  }

  /** An answer without waiting, if the entry still has one to give. @throws a failure that is remembered */
  #fromKept(
    entry: Entry,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
  ): { readonly value: unknown } | undefined {
    const now = this.#host.settings.now();
    if (now < entry.expiresAt) {
      this.#hit(entry);
      if (entry.value instanceof Failure) throw entry.value.error;
      if (fresh.eagerRefreshRatio < 1 && this.#refresh(entry, compute, options, fresh))
        entry.renewAt = entry.expiresAt;
      return entry;
    }
    const refreshed = now < staleUntil(entry, fresh.staleWhileRevalidateMs);
    const rests = now < staleUntil(entry, fresh.staleIfErrorMs) && this.#refresher.rests(entry);
    if (!refreshed && !rests) return undefined;
    this.#hit(entry);
    const reason = this.#refresher.rests(entry) ? "retry" : "refresh";
    this.#host.staleHit(entry.space, entry.key, reason, now - entry.expiresAt);
    if (refreshed) this.#refresh(entry, compute, options, fresh);
    return entry;
  }

  #hit(entry: Entry): void {
    if (entry.freq < 3) entry.freq++;
    this.#host.hit(entry.space, entry.key);
  }

  #standIn(entry: Entry, fresh: Freshness): LocalStandIn | undefined {
    if (this.#host.settings.now() >= staleUntil(entry, fresh.staleIfErrorMs)) return undefined;
    return new LocalStandIn(this.#host, this.#table, this.#refresher, entry, fresh);
  }

  #compute(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
    standIn: LocalStandIn | undefined,
  ): Promise<unknown> {
    const present = this.#table.spaces.open(options.namespace).flights.get(key);
    if (present instanceof LocalFlight && present.isFresh(options.tags ?? noTags))
      return this.#join(present, compute, options, fresh, standIn);
    const flight = this.#flight(key, options);
    flight.space.flights.set(key, flight);
    const result = flight.wait(options.signal, standIn);
    this.#fly(flight, compute, options, fresh);
    return result;
  }

  async #join(
    flight: LocalFlight,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
    standIn: LocalStandIn | undefined,
  ): Promise<unknown> {
    const { tags = noTags, signal } = options;
    const joinedAt = this.#table.line.seq;
    flight.addTags(tags);
    this.#host.countCoalesced(flight.space);
    // A tag that came out of the compute was not known when this read joined: had it moved before, the outcome is too old.
    const isTooOld = (): boolean => joinedAt > flight.born && flight.lateMoved;
    try {
      const value = await flight.wait(signal, standIn);
      if (standIn?.served === true || !isTooOld()) return value;
    } catch (error) {
      if (signal?.aborted === true || !isTooOld()) throw error;
    }
    return this.#compute(flight.key, compute, options, fresh, standIn);
  }

  /** Whether the entry is being computed anew, by this call or already. */
  #refresh(
    entry: Entry,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
  ): boolean {
    const { space, key } = entry;
    const present = space.flights.get(key);
    if (present instanceof LocalFlight && present.isFresh(options.tags ?? noTags)) return true;
    if (!this.#refresher.admits(entry)) return false;
    const flight = this.#flight(key, options);
    space.flights.set(key, flight);
    void this.#refresher.watch(entry, flight.pin());
    this.#fly(flight, compute, options, fresh);
    return true;
  }

  #flight(key: string, { namespace, tags = noTags }: GetOrSetOptions): LocalFlight {
    const { line, spaces } = this.#table;
    return new LocalFlight(this.#host, line, spaces.open(namespace), key, tags);
  }

  #fly(
    flight: LocalFlight,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
    fresh: Freshness,
  ): void {
    void flight.run(new LocalPlan(this.#host, this.#table, flight, compute, options, fresh));
  }
}
