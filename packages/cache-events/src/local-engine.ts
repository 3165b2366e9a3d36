import { checkAccess, checkKey, checkTags, checkValue, typed } from "./checks.ts";
import type { Engine, Usage } from "./engine.ts";
import { EntryTable } from "./entry-table.ts";
import { EpochWatch } from "./epoch-watch.ts";
import type { Compute } from "./flight.ts";
import type { Host } from "./host.ts";
import { LocalFlight } from "./local-flight.ts";
import type { Entry } from "./memory-tier.ts";
import type { GetOrSetOptions, SetOptions } from "./options.ts";
import { lifetimeMs } from "./options.ts";
import type { Selection } from "./selection.ts";
import type { Space } from "./space.ts";
import { Verifier } from "./verifier.ts";

/** One process: values stay references in memory, fences are numbers, and everything but computing is synchronous. */
export class LocalEngine implements Engine {
  readonly carriesEvents = false;
  readonly #host: Host;
  readonly #table: EntryTable;
  readonly #epoch: EpochWatch | undefined;
  readonly #verifier: Verifier | undefined;

  constructor(host: Host) {
    const { epoch, verifyRatio } = host.settings;
    const table = new EntryTable(host);
    this.#host = host;
    this.#table = table;
    if (epoch !== undefined)
      this.#epoch = new EpochWatch(host, epoch, () => table.line.move(table.line.everything));
    if (verifyRatio > 0) this.#verifier = new Verifier(host);
  }

  listen(): undefined {
    return undefined;
  }

  spaces(): Iterable<Space> {
    return this.#table.spaces.all();
  }

  usage(): Usage {
    const { tier, line } = this.#table;
    return { entries: tier.entries, bytes: tier.bytes, tags: line.tagCount, ghosts: tier.ghosts };
  }

  peek(key: string, namespace: string | undefined): unknown {
    if (this.#host.bypassed) return undefined;
    this.#epoch?.check();
    const entry = this.#table.find(key, namespace);
    return entry === undefined ? undefined : this.#hit(entry);
  }

  async get(key: string, namespace: string | undefined): Promise<unknown> {
    checkKey(key, namespace);
    if (this.#host.bypassed) return undefined;
    this.#epoch?.check();
    const entry = this.#table.find(key, namespace);
    if (entry !== undefined) return this.#hit(entry);
    this.#miss(key, namespace);
    return undefined;
  }

  getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions | undefined,
  ): Promise<unknown> {
    if (this.#host.bypassed) return this.#computeAlone(key, compute, options);
    this.#epoch?.check();
    const entry = this.#table.find(key, options?.namespace);
    if (entry === undefined) return this.#load(key, compute, options);
    if (this.#verifier?.samples() === true) this.#verify(this.#verifier, entry, compute);
    return Promise.resolve(this.#hit(entry));
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<void> {
    checkAccess(key, options);
    checkValue(value);
    this.#epoch?.check();
    const { line, spaces } = this.#table;
    const space = spaces.open(options.namespace);
    this.#table.fenceKey(space, key);
    if (this.#host.bypassed) return;
    const tags = [...new Set(options.tags)].map((tag) => line.hold(tag));
    const expiresAt = this.#expiry(options.ttlMs);
    this.#table.put({ space, key, value, born: line.seq, tags, expiresAt });
  }

  async delete(key: string, namespace: string | undefined): Promise<void> {
    checkKey(key, namespace);
    const space = this.#table.spaces.find(namespace);
    if (space !== undefined) this.#table.fenceKey(space, key);
    this.#host.invalidated(1, { kind: "key", key, namespace: namespace ?? "" });
  }

  async invalidate(tags: readonly string[]): Promise<void> {
    checkTags(tags);
    this.#table.line.moveTags(tags);
    this.#host.invalidated(tags.length, { kind: "tags", tags });
  }

  async clear(selection: Selection | undefined): Promise<void> {
    const { line, spaces } = this.#table;
    if (selection === undefined) {
      line.move(line.everything);
      for (const space of spaces.all()) this.#table.empty(space);
      this.#host.invalidated(1, { kind: "everything" });
      return;
    }
    const { tags, prefix, namespace } = selection;
    if (prefix !== undefined || (tags !== undefined && namespace !== undefined)) {
      this.#table.sweep(selection);
      const kind = prefix === undefined ? "tags" : "prefix";
      this.#host.invalidated(1, { kind, ...selection });
    } else if (tags !== undefined) {
      await this.invalidate(tags);
    } else {
      this.#clearNamespace(namespace ?? "");
    }
  }

  close(): void {
    for (const space of this.spaces()) this.#table.empty(space);
  }

  #hit(entry: Entry): unknown {
    if (entry.freq < 3) entry.freq++;
    this.#host.hit(entry.space, entry.key);
    return entry.value;
  }

  #miss(key: string, namespace: string | undefined): void {
    const space = this.#table.spaces.open(namespace);
    this.#host.miss(space, key, this.#table.clean(space, key));
  }

  async #load(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions = {},
  ): Promise<unknown> {
    checkAccess(key, options);
    typed("function")("compute", compute);
    const { signal, namespace, tags = [] } = options;
    signal?.throwIfAborted();
    this.#miss(key, namespace);
    const { line, spaces } = this.#table;
    for (;;) {
      const space = spaces.open(namespace);
      const flight = space.flights.get(key);
      if (!(flight instanceof LocalFlight) || !flight.isFresh(tags)) break;
      const joinedAt = line.seq;
      flight.addTags(tags);
      this.#host.countCoalesced(space);
      const value = await flight.wait(signal);
      // A tag that came out of the compute was not known when this read joined: had it moved before, the result is too old.
      if (joinedAt <= flight.born || !flight.lateMoved) return value;
    }
    const space = spaces.open(namespace);
    const flight = new LocalFlight(this.#host, line, space, key, tags);
    space.flights.set(key, flight);
    return this.#fly(flight, compute, options);
  }

  async #computeAlone(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions = {},
  ): Promise<unknown> {
    checkAccess(key, options);
    typed("function")("compute", compute);
    options.signal?.throwIfAborted();
    const { line, spaces } = this.#table;
    const space = spaces.open(options.namespace);
    const flight = new LocalFlight(this.#host, line, space, key, options.tags ?? []);
    return this.#fly(flight, compute, options);
  }

  #fly(
    flight: LocalFlight,
    compute: Compute<unknown>,
    { signal, ttlMs }: GetOrSetOptions,
  ): Promise<unknown> {
    const result = flight.wait(signal);
    void flight.run({
      compute,
      tag: (tags) => {
        checkTags(tags);
        flight.addTags(tags);
      },
      land: (value) => this.#land(flight, value, ttlMs),
      leave: () => {
        this.#detach(flight);
        this.#table.line.release(flight.takeTags());
      },
    });
    return result;
  }

  /** Stores the result if no newer flight took over and nothing moved since the compute began. */
  #land(flight: LocalFlight, value: unknown, ttlMs: number | undefined): boolean {
    const { space, key, born } = flight;
    const stands = this.#detach(flight) && flight.isFresh([]);
    const tags = flight.takeTags();
    if (stands && value !== undefined && !this.#host.bypassed)
      return this.#table.put({ space, key, value, born, tags, expiresAt: this.#expiry(ttlMs) });
    this.#table.line.release(tags);
    return false;
  }

  #detach(flight: LocalFlight): boolean {
    const { flights } = flight.space;
    return flights.get(flight.key) === flight && flights.delete(flight.key);
  }

  #expiry(ttlMs: number | undefined): number {
    const { settings } = this.#host;
    return settings.now() + lifetimeMs(settings, ttlMs);
  }

  #clearNamespace(namespace: string): void {
    const space = this.#table.spaces.find(namespace);
    if (space !== undefined) {
      this.#table.line.move(space.fence);
      this.#table.empty(space);
    }
    this.#host.invalidated(1, { kind: "namespace", namespace });
  }

  #verify(verifier: Verifier, entry: Entry, compute: Compute<unknown>): void {
    const { space, key, value } = entry;
    verifier.start({
      space,
      key,
      cached: value,
      compute,
      stands: () => this.#table.find(key, space.name) === entry,
      drop: () => this.#table.fenceKey(space, key),
    });
  }
}
