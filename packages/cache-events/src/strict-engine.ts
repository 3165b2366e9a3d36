import { isDeepStrictEqual } from "node:util";
import { checkSet, checkStoreKey, checkTags } from "./checks.ts";
import type { Engine, SetEntry, Usage } from "./engine.ts";
import { InvalidationError, SelectionError } from "./errors.ts";
import type { Compute } from "./flight.ts";
import { freshnessOf, lifeOf } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { Entry } from "./memory-tier.ts";
import type { NearTier } from "./near-tier.ts";
import { nearTierOf } from "./near-tier.ts";
import type { GetOrSetOptions, SetOptions } from "./options.ts";
import type { Selection } from "./selection.ts";
import type { Space } from "./space.ts";
import { Spaces } from "./space.ts";
import { StoreLink } from "./store-link.ts";
import type { FenceValues, Moved } from "./strict-fences.ts";
import { StrictFences } from "./strict-fences.ts";
import { StrictLoads } from "./strict-loads.ts";
import { StrictReads } from "./strict-reads.ts";
import { StrictStore } from "./strict-store.ts";
import { Verifier } from "./verifier.ts";

/**
 * N processes on one store: a read asks the store, in one round trip, whether the entry still stands; where the store mirrors its
 * fences in this process, entries in memory are asked first.
 */
export class StrictEngine implements Engine {
  readonly #host: Host;
  readonly #link: StoreLink;
  readonly #fences: StrictFences;
  readonly #store: StrictStore;
  readonly #reads: StrictReads;
  readonly #loads: StrictLoads;
  readonly #near: NearTier | undefined;
  readonly #spaces: Spaces;
  readonly #verifier: Verifier | undefined;

  constructor(host: Host, shared: NonNullable<Host["settings"]["store"]>) {
    this.#host = host;
    this.#link = new StoreLink(host.settings, shared);
    this.#near = nearTierOf(host, this.#link.mirror);
    this.#spaces = this.#near?.spaces ?? new Spaces();
    this.#fences = new StrictFences(
      host.settings,
      this.#link,
      (fences) => this.#near?.move(fences) ?? 0,
    );
    const [link, fences, near, spaces] = [this.#link, this.#fences, this.#near, this.#spaces];
    const store = new StrictStore(host, link, fences);
    const reads = new StrictReads(host, link, fences, store, near);
    this.#store = store;
    this.#reads = reads;
    this.#loads = new StrictLoads({
      host,
      spaces,
      near,
      fences,
      store,
      reads,
      sample: (...hit) => this.#sample(...hit),
    });
    if (host.settings.verifyRatio > 0) this.#verifier = new Verifier(host);
  }

  get carriesEvents(): boolean {
    return this.#link.carriesEvents;
  }

  spaces(): Iterable<Space> {
    return this.#spaces.all();
  }

  usage(): Usage {
    const near = this.#near?.usage ?? { entries: 0, bytes: 0, ghosts: 0 };
    return { ...near, tags: this.#fences.broken, refreshes: this.#loads.refreshes };
  }

  checkKey(key: unknown, namespace: unknown): void {
    checkStoreKey(key, namespace);
  }

  peek(key: string, namespace: string | undefined): unknown {
    return this.#unexpired(key, namespace)?.value;
  }

  async get(key: string, namespace = ""): Promise<unknown> {
    checkStoreKey(key, namespace);
    if (this.#host.bypassed) return undefined;
    const near = this.#unexpired(key, namespace);
    if (near !== undefined) return near.value;
    const look = await this.#reads.look({ key, namespace, tags: [], staleMs: 0 });
    const space = this.#spaces.open(namespace);
    if (look?.kept === undefined) this.#host.miss(space, key, look?.reason ?? "absent");
    else this.#host.hit(space, key);
    return look?.kept?.value;
  }

  getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions | undefined,
  ): Promise<unknown> {
    if (this.#near === undefined || this.#host.bypassed)
      return this.#loads.load(key, compute, options);
    const entry = this.#near.find(key, options?.namespace);
    if (entry === undefined) return this.#loads.load(key, compute, options);
    this.#host.hit(entry.space, key);
    this.#sample(entry.space, key, entry.value, compute);
    return Promise.resolve(entry.value);
  }

  together<T>(run: () => T): T {
    return this.#reads.together(run);
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<void> {
    await this.setMany([[key, value, options]]);
  }

  /** The fences of all keys move before the first one is stored: keys that share a fence do not invalidate each other. */
  async setMany(entries: readonly SetEntry[]): Promise<void> {
    for (const [key, value, options] of entries) {
      checkStoreKey(key, options.namespace);
      checkSet(key, value, options);
    }
    const fences = this.#host.bypassed ? [] : await this.#fencesFor(entries);
    const own = entries.map(([key, , { namespace = "" }]) => this.#fences.key(key, namespace));
    const [[first] = [""]] = entries;
    const more = entries.length === 1 ? "" : ` and ${entries.length - 1} more`;
    const moved = await this.#move([...new Set(own)], `the key "${first}"${more}`);
    if (this.#host.bypassed) return;
    await Promise.all(
      entries.map(async (entry, index) => {
        const fence = own[index] ?? "";
        const known = fences[index];
        if (known === undefined) return;
        await this.#save(
          entry,
          new Map([...known, [fence, moved.values.get(fence) ?? ""]]),
          moved.seq,
        );
      }),
    );
  }

  /** The fences of each entry, all of which are there afterwards; `undefined` where the store cannot be asked. */
  async #fencesFor(entries: readonly SetEntry[]): Promise<readonly (FenceValues | undefined)[]> {
    const looks = await Promise.all(
      this.together(() =>
        entries.map(([key, , { namespace = "", tags = [] }]) =>
          this.#reads.look({ key, namespace, tags, staleMs: 0 }),
        ),
      ),
    );
    return Promise.all(looks.map(async (look) => look && this.#reads.ensure(look)));
  }

  async #save([key, value, options]: SetEntry, fences: FenceValues, seq: number): Promise<void> {
    const { namespace = "", ttlMs } = options;
    const { settings } = this.#host;
    const life = lifeOf(settings, ttlMs, freshnessOf(settings));
    const saved = await this.#store.save({ key, namespace, value, fences, life });
    await this.#loads.keep(key, namespace, saved, seq);
  }

  async delete(key: string, namespace = ""): Promise<void> {
    checkStoreKey(key, namespace);
    await this.#move([this.#fences.key(key, namespace)], `the key "${key}"`);
    await this.#store.remove(key, namespace);
    this.#host.invalidated(1, { kind: "key", key, namespace });
  }

  async invalidate(tags: readonly string[], event?: string): Promise<void> {
    checkTags(tags);
    const keys = [...new Set(tags)].map((tag) => this.#fences.tag(tag));
    if (keys.length > 0 || event !== undefined)
      await this.#move(keys, `the tags ${tags.join(", ").slice(0, 200)}`, event);
    this.#host.invalidated(tags.length, { kind: "tags", tags });
  }

  async clear(selection: Selection | undefined): Promise<void> {
    if (selection === undefined) {
      await this.#move([this.#fences.everything], "everything");
      this.#host.invalidated(1, { kind: "everything" });
      return;
    }
    const { tags, namespace } = selection;
    if (Object.keys(selection).length > 1 || selection.prefix !== undefined)
      throw new SelectionError(Object.keys(selection).join(", "));
    if (tags !== undefined) return this.invalidate(tags);
    const name = namespace ?? "";
    await this.#move([this.#fences.namespace(name)], `the namespace "${name}"`);
    this.#host.invalidated(1, { kind: "namespace", namespace: name });
  }

  listen(listener: (event: string) => unknown): Disposable | undefined {
    return this.#link.listen(listener);
  }

  close(): void {
    this.#near?.close();
    this.#loads.close();
  }

  /** A hit of the near tier, though it may be time to refresh it. */
  #unexpired(key: string, namespace: string | undefined): Entry | undefined {
    if (this.#near === undefined || this.#host.bypassed) return undefined;
    const entry = this.#near.find(key, namespace) ?? this.#near.due(key, namespace);
    if (entry !== undefined) this.#host.hit(entry.space, key);
    return entry;
  }

  async #move(keys: readonly string[], what: string, event?: string): Promise<Moved> {
    try {
      return await this.#fences.move(keys, event);
    } catch (error) {
      this.#host.storeFailed("invalidate", error);
      throw new InvalidationError(what, false, error);
    }
  }

  #sample(space: Space, key: string, cached: unknown, compute: Compute<unknown>): void {
    if (this.#verifier?.samples() !== true) return;
    const namespace = space.name;
    this.#verifier.start({
      space,
      key,
      cached,
      compute: async (context) => this.#store.roundTrip(await compute(context)),
      stands: async () => {
        const look = await this.#reads.look({ key, namespace, tags: [], staleMs: 0 });
        return look?.kept !== undefined && isDeepStrictEqual(look.kept.value, cached);
      },
      drop: () => this.delete(key, namespace),
    });
  }
}
