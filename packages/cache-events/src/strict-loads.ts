import { checkStoreAccess, typed } from "./checks.ts";
import { StoreError } from "./errors.ts";
import type { Compute } from "./flight.ts";
import type { Failure, Life } from "./freshness.ts";
import { freshnessOf, staleUntil } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { NearTier } from "./near-tier.ts";
import type { GetOrSetOptions } from "./options.ts";
import { Refresher } from "./refresher.ts";
import type { Space, Spaces } from "./space.ts";
import type { FenceValues, StrictFences } from "./strict-fences.ts";
import type { Request } from "./strict-flights.ts";
import { StrictFlights } from "./strict-flights.ts";
import { StrictMemory } from "./strict-memory.ts";
import type { BegunLook, StrictReads } from "./strict-reads.ts";
import { StrictStandIn } from "./strict-stand-in.ts";
import type { Kept, StrictStore } from "./strict-store.ts";

export interface LoadsInit {
  readonly host: Host;
  readonly spaces: Spaces;
  readonly near: NearTier | undefined;
  readonly fences: StrictFences;
  readonly store: StrictStore;
  readonly reads: StrictReads;
  /** May have a hit verified. */
  sample(space: Space, key: string, cached: unknown, compute: Compute<unknown>): void;
}

/** What a read of a shared store does when the near tier has no hit for it. */
export class StrictLoads {
  readonly #init: LoadsInit;
  readonly #host: Host;
  readonly #memory = new StrictMemory();
  readonly #flights: StrictFlights;
  readonly #refresher: Refresher;

  constructor(init: LoadsInit) {
    this.#init = init;
    this.#host = init.host;
    this.#flights = new StrictFlights({ ...init, memory: this.#memory });
    this.#refresher = new Refresher(init.host.settings);
  }

  get refreshes(): number {
    return this.#refresher.running;
  }

  async load(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions = {},
  ): Promise<unknown> {
    checkStoreAccess(key, options);
    typed("function")("compute", compute);
    const { namespace = "", tags = [], signal } = options;
    signal?.throwIfAborted();
    const fresh = freshnessOf(this.#host.settings, options);
    const staleMs = Math.max(fresh.staleWhileRevalidateMs, fresh.staleIfErrorMs);
    const request = { key, namespace, tags, staleMs, compute, options, fresh };
    if (this.#host.bypassed) return this.#flights.alone(request, undefined);
    const look = await this.#init.reads.look(request);
    return look === undefined ? this.#withoutStore(request) : this.#answer(look, request);
  }

  close(): void {
    this.#memory.clear();
  }

  /** The near tier has the value as a read from the store would give it. */
  keep(key: string, namespace: string, saved: string | undefined, born: number): Promise<void> {
    return this.#flights.keep(key, namespace, saved, born);
  }

  async #answer(look: BegunLook, request: Request): Promise<unknown> {
    const { key, namespace, compute } = request;
    const space = this.#init.spaces.open(namespace);
    const { kept } = look;
    if (kept !== undefined && this.#host.settings.now() < kept.expiresAt) {
      this.#host.hit(space, key);
      this.#refreshEarly(kept, look, request);
      this.#init.sample(space, key, kept.value, compute);
      return kept.value;
    }
    const failure = await this.#remembered(look, request);
    if (failure !== undefined) {
      this.#host.hit(space, key);
      throw failure.error;
    }
    if (kept !== undefined && this.#servesStale(kept, request, look)) return kept.value;
    this.#host.miss(space, key, look.reason);
    return this.#compute(look, request, kept && this.#standIn(kept, request));
  }

  /** What is in memory may be served while it is known that nothing invalidated it. */
  async #withoutStore(request: Request): Promise<unknown> {
    const { key, namespace } = request;
    const space = this.#init.spaces.open(namespace);
    const entry = this.#host.bypassed ? undefined : this.#init.near?.held(key, namespace);
    if (entry !== undefined && this.#host.settings.now() < entry.expiresAt) {
      this.#host.hit(space, key);
      return entry.value;
    }
    if (entry !== undefined && this.#servesStale(entry, request, undefined)) return entry.value;
    this.#host.miss(space, key, entry === undefined ? "absent" : "expired");
    return this.#flights.alone(request, entry && this.#standIn(entry, request));
  }

  /** Whether an expired value is the answer at once. Without a `look` it cannot be refreshed. */
  #servesStale(life: Life, request: Request, look: BegunLook | undefined): boolean {
    const { key, namespace, fresh } = request;
    const now = this.#host.settings.now();
    const mark = this.#memory.mark(key, namespace, life.expiresAt);
    const rests = this.#refresher.rests(mark);
    const refreshed = now < staleUntil(life, fresh.staleWhileRevalidateMs);
    if (!refreshed && !(rests && now < staleUntil(life, fresh.staleIfErrorMs))) return false;
    const space = this.#init.spaces.open(namespace);
    this.#host.hit(space, key);
    const reason = rests || look === undefined ? "retry" : "refresh";
    this.#host.staleHit(space, key, reason, now - life.expiresAt);
    if (refreshed && look !== undefined) this.#refresh(life, look, request);
    return true;
  }

  #refreshEarly(kept: Kept, look: BegunLook, request: Request): void {
    const { key, namespace, fresh } = request;
    if (fresh.eagerRefreshRatio === 1 || this.#host.settings.now() < kept.renewAt) return;
    const mark = this.#memory.mark(key, namespace, kept.expiresAt);
    mark.renewed ||= this.#refresh(kept, look, request);
    const entry = mark.renewed ? this.#init.near?.held(key, namespace) : undefined;
    if (entry?.expiresAt === kept.expiresAt) entry.renewAt = entry.expiresAt;
  }

  /** Whether the entry is being computed anew, by this call or already. */
  #refresh({ expiresAt }: Life, look: BegunLook, request: Request): boolean {
    const mark = this.#memory.mark(request.key, request.namespace, expiresAt);
    if (this.#refresher.runs(mark)) return true;
    if (!this.#refresher.admits(mark)) return false;
    void this.#refresher.watch(mark, this.#computeAnew(look, request));
    return true;
  }

  async #computeAnew(look: BegunLook, request: Request): Promise<unknown> {
    const fences = await this.#init.reads.ensure(look);
    if (fences === undefined) throw new StoreError("the fences of a refresh have no values");
    const present = this.#flights.joinable(request, fences);
    if (present !== undefined) return present.pin();
    const flight = this.#flights.create(request, look, fences);
    const result = flight.pin();
    this.#flights.start(flight, request);
    return result;
  }

  async #remembered(look: BegunLook, { key, namespace }: Request): Promise<Failure | undefined> {
    const known = this.#memory.failure(key, namespace, this.#host.settings.now());
    if (known === undefined) return undefined;
    try {
      if (await this.#init.store.stand(known.fences, look.observed)) return known.failure;
      this.#memory.forget(key, namespace);
    } catch (error) {
      this.#host.storeFailed("read", error);
    }
    return undefined;
  }

  #standIn(life: Life, request: Request): StrictStandIn | undefined {
    const { key, namespace, fresh } = request;
    if (this.#host.settings.now() >= staleUntil(life, fresh.staleIfErrorMs)) return undefined;
    const { host, reads, near, spaces } = this.#init;
    const mark = this.#memory.mark(key, namespace, life.expiresAt);
    const space = spaces.open(namespace);
    const refresher = this.#refresher;
    return new StrictStandIn({
      host,
      reads,
      near,
      refresher,
      space,
      mark,
      ask: request,
      fresh,
      life,
    });
  }

  async #compute(
    look: BegunLook,
    request: Request,
    standIn: StrictStandIn | undefined,
  ): Promise<unknown> {
    const { signal } = request.options;
    const fences = await this.#init.reads.ensure(look);
    if (fences === undefined) return this.#flights.alone(request, standIn);
    signal?.throwIfAborted();
    const flight = this.#flights.joinable(request, fences);
    if (flight === undefined) return this.#begin(look, request, fences, standIn);
    this.#host.countCoalesced(flight.space);
    const { any } = this.#init.fences;
    // A tag that came out of the compute may have moved before this read began, also while the result was being stored.
    const isCurrent = (): boolean =>
      flight.lateTags.length === 0 || flight.fences.get(any) === fences.get(any);
    try {
      const value = await flight.wait(signal, standIn);
      if (standIn?.served === true || isCurrent()) return value;
    } catch (error) {
      if (signal?.aborted === true || isCurrent()) throw error;
    }
    return this.#computeAgain(request, standIn);
  }

  async #computeAgain(request: Request, standIn: StrictStandIn | undefined): Promise<unknown> {
    const { reads } = this.#init;
    const look = await reads.look(request);
    const kept = look?.kept;
    if (kept !== undefined && this.#host.settings.now() < kept.expiresAt) return kept.value;
    const fences = look && (await reads.ensure(look));
    if (look === undefined || fences === undefined) return this.#flights.alone(request, standIn);
    request.options.signal?.throwIfAborted();
    return this.#begin(look, request, fences, standIn);
  }

  #begin(
    look: BegunLook,
    request: Request,
    fences: FenceValues,
    standIn: StrictStandIn | undefined,
  ): Promise<unknown> {
    const flight = this.#flights.create(request, look, fences);
    const result = flight.wait(request.options.signal, standIn);
    this.#flights.start(flight, request);
    return result;
  }
}
