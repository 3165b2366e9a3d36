import { checkKey, checkSet, checkTags } from "./checks.ts";
import type { Engine, Usage } from "./engine.ts";
import { EntryTable } from "./entry-table.ts";
import { EpochWatch } from "./epoch-watch.ts";
import type { Compute } from "./flight.ts";
import type { TagFence } from "./fence.ts";
import { freshnessOf, lifeOf } from "./freshness.ts";
import type { Host } from "./host.ts";
import { LocalLoads } from "./local-loads.ts";
import type { Entry } from "./memory-tier.ts";
import type { GetOrSetOptions, SetOptions } from "./options.ts";
import type { Selection } from "./selection.ts";
import type { Space } from "./space.ts";
import { Verifier } from "./verifier.ts";

/** One process: values stay references in memory, fences are numbers, and everything but computing is synchronous. */
export class LocalEngine implements Engine {
  readonly carriesEvents = false;
  readonly #host: Host;
  readonly #table: EntryTable;
  readonly #loads: LocalLoads;
  readonly #epoch: EpochWatch | undefined;
  readonly #verifier: Verifier | undefined;

  constructor(host: Host) {
    const { epoch, verifyRatio } = host.settings;
    const table = new EntryTable(host);
    this.#host = host;
    this.#table = table;
    this.#loads = new LocalLoads(host, table);
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
    return {
      entries: tier.entries,
      bytes: tier.bytes,
      tags: line.tagCount,
      ghosts: tier.ghosts,
      refreshes: this.#loads.refreshes,
    };
  }

  tags(): Iterable<TagFence> {
    return this.#table.line.tags();
  }

  checkKey(key: unknown, namespace: unknown): void {
    checkKey(key, namespace);
  }

  peek(key: string, namespace: string | undefined): unknown {
    if (this.#host.bypassed) return undefined;
    this.#epoch?.check();
    const entry = this.#table.find(key, namespace) ?? this.#table.due(key, namespace);
    return entry === undefined ? undefined : this.#hit(entry);
  }

  async get(key: string, namespace: string | undefined): Promise<unknown> {
    checkKey(key, namespace);
    if (this.#host.bypassed) return undefined;
    this.#epoch?.check();
    const entry = this.#table.find(key, namespace) ?? this.#table.due(key, namespace);
    if (entry !== undefined) return this.#hit(entry);
    this.#loads.miss(key, namespace);
    return undefined;
  }

  getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions | undefined,
  ): Promise<unknown> {
    if (this.#host.bypassed) return this.#loads.alone(key, compute, options);
    this.#epoch?.check();
    const entry = this.#table.find(key, options?.namespace);
    if (entry === undefined) return this.#loads.load(key, compute, options);
    if (this.#verifier?.samples() === true) this.#verify(this.#verifier, entry, compute);
    return Promise.resolve(this.#hit(entry));
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<void> {
    checkSet(key, value, options);
    this.#epoch?.check();
    const { settings } = this.#host;
    const { line, spaces } = this.#table;
    const size = this.#host.bypassed ? 0 : this.#table.measure(value);
    const space = spaces.open(options.namespace);
    this.#table.fenceKey(space, key);
    if (this.#host.bypassed) return;
    const tags = [...new Set(options.tags)].map((tag) => line.hold(tag));
    const life = lifeOf(settings, options.ttlMs, freshnessOf(settings));
    this.#table.put({ space, key, value, size, born: line.seq, tags, life });
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
