import { isDeepStrictEqual } from "node:util";
import { checkSet, checkStoreAccess, checkStoreKey, checkTags, typed } from "./checks.ts";
import type { Engine, Usage } from "./engine.ts";
import { InvalidationError, SelectionError } from "./errors.ts";
import type { Compute } from "./flight.ts";
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
import { StrictFlight } from "./strict-flight.ts";
import type { Look } from "./strict-store.ts";
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
  readonly #near: NearTier | undefined;
  readonly #spaces: Spaces;
  readonly #verifier: Verifier | undefined;

  constructor(host: Host, store: NonNullable<Host["settings"]["store"]>) {
    this.#host = host;
    this.#link = new StoreLink(host.settings, store);
    this.#near = nearTierOf(host, this.#link.mirror);
    this.#spaces = this.#near?.spaces ?? new Spaces();
    this.#fences = new StrictFences(
      host.settings,
      this.#link,
      (fences) => this.#near?.move(fences) ?? 0,
    );
    this.#store = new StrictStore(host, this.#link, this.#fences);
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
    return { ...near, tags: this.#fences.broken };
  }

  peek(key: string, namespace: string | undefined): unknown {
    return this.#nearHit(key, namespace)?.value;
  }

  async get(key: string, namespace = ""): Promise<unknown> {
    checkStoreKey(key, namespace);
    if (this.#host.bypassed) return undefined;
    const hit = this.#nearHit(key, namespace);
    if (hit !== undefined) return hit.value;
    const look = await this.#look(key, namespace, []);
    this.#count(look, key, namespace);
    return look?.hit?.value;
  }

  getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions | undefined,
  ): Promise<unknown> {
    const hit = this.#nearHit(key, options?.namespace);
    if (hit === undefined) return this.#getOrSet(key, compute, options);
    if (this.#verifier?.samples() === true)
      this.#verify(this.#verifier, key, hit.space.name, hit.value, compute);
    return Promise.resolve(hit.value);
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<void> {
    checkStoreKey(key, options.namespace);
    checkSet(key, value, options);
    const { namespace = "", tags = [], ttlMs } = options;
    const look = this.#host.bypassed ? undefined : await this.#look(key, namespace, tags);
    const fences = look && (await this.#ensure(look));
    const moved = await this.#move([this.#fences.key(key, namespace)], `the key "${key}"`);
    if (fences === undefined || this.#host.bypassed) return;
    const now = new Map([...fences, ...moved.values]);
    const saved = await this.#store.save(key, namespace, value, now, ttlMs);
    await this.#keep(key, namespace, saved, moved.seq);
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

  listen(listener: (event: string) => void): Disposable | undefined {
    return this.#link.listen(listener);
  }

  close(): void {
    this.#near?.close();
  }

  #nearHit(key: string, namespace: string | undefined): Entry | undefined {
    if (this.#near === undefined || this.#host.bypassed) return undefined;
    const entry = this.#near.find(key, namespace);
    if (entry !== undefined) this.#host.hit(entry.space, key);
    return entry;
  }

  async #getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions = {},
  ): Promise<unknown> {
    checkStoreAccess(key, options);
    typed("function")("compute", compute);
    const { namespace = "", tags = [], signal } = options;
    signal?.throwIfAborted();
    if (this.#host.bypassed) return this.#computeAlone(key, compute, options);
    const look = await this.#look(key, namespace, tags);
    this.#count(look, key, namespace);
    if (look === undefined) return this.#computeAlone(key, compute, options);
    if (look.hit === undefined) return this.#load(look, key, compute, options);
    if (this.#verifier?.samples() === true)
      this.#verify(this.#verifier, key, namespace, look.hit.value, compute);
    return look.hit.value;
  }

  /** `undefined` when the store cannot be asked. */
  async #look(
    key: string,
    namespace: string,
    tags: readonly string[],
  ): Promise<BegunLook | undefined> {
    if (!this.#link.admits()) return undefined;
    const begun = this.#near?.seq ?? 0;
    try {
      const look = await this.#store.look(key, namespace, tags);
      if (look.hit === undefined) this.#near?.drop(key, namespace);
      else if (!this.#host.bypassed) this.#near?.put(key, namespace, look.hit, begun);
      return { ...look, begun };
    } catch (error) {
      this.#host.storeFailed("read", error);
      return undefined;
    }
  }

  async #ensure(look: Look): Promise<FenceValues | undefined> {
    try {
      return await this.#fences.ensure(look.observed);
    } catch (error) {
      this.#host.storeFailed("write", error);
      return undefined;
    }
  }

  async #move(keys: readonly string[], what: string, event?: string): Promise<Moved> {
    try {
      return await this.#fences.move(keys, event);
    } catch (error) {
      this.#host.storeFailed("invalidate", error);
      throw new InvalidationError(what, false, error);
    }
  }

  #count(look: Look | undefined, key: string, namespace: string): void {
    const space = this.#spaces.open(namespace);
    if (look?.hit === undefined) this.#host.miss(space, key, look?.reason ?? "absent");
    else this.#host.hit(space, key);
  }

  async #load(
    look: BegunLook,
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions,
  ): Promise<unknown> {
    const { namespace = "", tags = [], signal } = options;
    const fences = await this.#ensure(look);
    if (fences === undefined) return this.#computeAlone(key, compute, options);
    signal?.throwIfAborted();
    const space = this.#spaces.open(namespace);
    const flight = space.flights.get(key);
    if (flight instanceof StrictFlight && flight.matches(fences, this.#fences.any)) {
      this.#host.countCoalesced(space);
      const { any } = this.#fences;
      // A tag that came out of the compute may have moved before this read began, also while the result was being stored.
      const isCurrent = (): boolean =>
        flight.lateTags.length === 0 || flight.fences.get(any) === fences.get(any);
      try {
        const value = await flight.wait(signal);
        if (isCurrent()) return value;
      } catch (error) {
        if (signal?.aborted === true || isCurrent()) throw error;
      }
      const again = await this.#look(key, namespace, tags);
      if (again?.hit !== undefined) return again.hit.value;
      const anew = again && (await this.#ensure(again));
      if (again === undefined || anew === undefined)
        return this.#computeAlone(key, compute, options);
      signal?.throwIfAborted();
      const next = new StrictFlight(
        this.#host,
        this.#spaces.open(namespace),
        key,
        anew,
        again.begun,
      );
      return this.#fly(next, compute, options);
    }
    return this.#fly(
      new StrictFlight(this.#host, space, key, fences, look.begun),
      compute,
      options,
    );
  }

  #fly(
    flight: StrictFlight,
    compute: Compute<unknown>,
    { signal, ttlMs, loadTimeoutMs }: GetOrSetOptions,
  ): Promise<unknown> {
    flight.space.flights.set(flight.key, flight);
    const result = flight.wait(signal);
    void flight.run({
      compute,
      loadTimeoutMs,
      tag: (tags) => {
        checkTags(tags);
        flight.addTags(tags);
      },
      land: (value) => this.#land(flight, value, ttlMs),
      leave: () => detach(flight),
    });
    return result;
  }

  async #land(flight: StrictFlight, value: unknown, ttlMs: number | undefined): Promise<boolean> {
    // Whether such a tag moved is asked once: who joined later might begin after it did.
    if (flight.lateTags.length > 0) detach(flight);
    try {
      const late = await this.#lateFences(flight);
      flight.lateMoved = late === undefined;
      if (late === undefined || value === undefined || this.#host.bypassed) return false;
      const fences = new Map([...late, ...flight.fences]);
      const { key, space, born } = flight;
      const saved = await this.#store.save(key, space.name, value, fences, ttlMs);
      await this.#keep(key, space.name, saved, born);
      return saved !== undefined;
    } finally {
      detach(flight);
    }
  }

  /** The near tier has the value as a read from the store would give it. */
  async #keep(
    key: string,
    namespace: string,
    saved: string | undefined,
    born: number,
  ): Promise<void> {
    if (this.#near === undefined || saved === undefined) return;
    const kept = await this.#store.kept(saved);
    if (kept !== undefined && !this.#host.bypassed) this.#near.put(key, namespace, kept, born);
  }

  async #lateFences(flight: StrictFlight): Promise<FenceValues | undefined> {
    if (flight.lateTags.length === 0) return new Map();
    try {
      return await this.#store.lateFences(flight.lateTags, flight.fences);
    } catch (error) {
      this.#host.storeFailed("read", error);
      return undefined;
    }
  }

  /** Without a store that answers there is no telling whose result is new enough to share. */
  #computeAlone(
    key: string,
    compute: Compute<unknown>,
    { namespace, signal, loadTimeoutMs }: GetOrSetOptions,
  ): Promise<unknown> {
    const flight = new StrictFlight(this.#host, this.#spaces.open(namespace), key, new Map(), 0);
    const result = flight.wait(signal);
    void flight.run({ compute, loadTimeoutMs, tag: checkTags, land: () => false, leave() {} });
    return result;
  }

  #verify(
    verifier: Verifier,
    key: string,
    namespace: string,
    cached: unknown,
    compute: Compute<unknown>,
  ): void {
    verifier.start({
      space: this.#spaces.open(namespace),
      key,
      cached,
      compute: async (context) => this.#store.roundTrip(await compute(context)),
      stands: async () => {
        const look = await this.#look(key, namespace, []);
        return look?.hit !== undefined && isDeepStrictEqual(look.hit.value, cached);
      },
      drop: () => this.delete(key, namespace),
    });
  }
}

interface BegunLook extends Look {
  /** The near tier's sequence before the store was asked. */
  readonly begun: number;
}

function detach(flight: StrictFlight): void {
  const { flights } = flight.space;
  if (flights.get(flight.key) === flight) flights.delete(flight.key);
}
