import type { StandIn } from "./attend.ts";
import { checkTags } from "./checks.ts";
import type { Compute } from "./flight.ts";
import type { Freshness } from "./freshness.ts";
import { Failure, isAnswer, lifeOfResult } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { NearTier } from "./near-tier.ts";
import type { GetOrSetOptions } from "./options.ts";
import type { Spaces } from "./space.ts";
import type { FenceValues, StrictFences } from "./strict-fences.ts";
import { StrictFlight } from "./strict-flight.ts";
import type { StrictMemory } from "./strict-memory.ts";
import type { BegunLook } from "./strict-reads.ts";
import type { Ask, StrictStore } from "./strict-store.ts";

/** One `getOrSet`. */
export interface Request extends Ask {
  readonly compute: Compute<unknown>;
  readonly options: GetOrSetOptions;
  readonly fresh: Freshness;
}

export interface FlightsInit {
  readonly host: Host;
  readonly spaces: Spaces;
  readonly near: NearTier | undefined;
  readonly fences: StrictFences;
  readonly store: StrictStore;
  readonly memory: StrictMemory;
}

/** The computes for a shared store, from their beginning to what is stored of them. */
export class StrictFlights {
  readonly #init: FlightsInit;
  readonly #host: Host;

  constructor(init: FlightsInit) {
    this.#init = init;
    this.#host = init.host;
  }

  /** The compute under way that a reader who holds these fences may share. */
  joinable({ key, namespace }: Request, fences: FenceValues): StrictFlight | undefined {
    const flight = this.#init.spaces.open(namespace).flights.get(key);
    const { any } = this.#init.fences;
    return flight instanceof StrictFlight && flight.matches(fences, any) ? flight : undefined;
  }

  /** `start` calls the compute; who is to wait for the flight does so before. */
  create({ key, namespace }: Request, look: BegunLook, fences: FenceValues): StrictFlight {
    const replaces = look.kept !== undefined || look.reason !== "absent";
    const begun = { fences, born: look.begun, replaces };
    return new StrictFlight(this.#host, this.#init.spaces.open(namespace), key, begun);
  }

  start(flight: StrictFlight, { compute, options: { ttlMs }, fresh }: Request): void {
    flight.space.flights.set(flight.key, flight);
    void flight.run({
      compute,
      loadTimeoutMs: fresh.loadTimeoutMs,
      tag: (tags) => {
        checkTags(tags);
        flight.addTags(tags);
      },
      land: (value) => this.#land(flight, value, ttlMs, fresh),
      leave: (failure) => {
        if (failure !== undefined && isAnswer(fresh, failure.error))
          return this.#land(flight, failure, ttlMs, fresh);
        detach(flight);
        return false;
      },
    });
  }

  /** Without a store that answers there is no telling whose result is new enough to share. */
  alone(request: Request, standIn: StandIn | undefined): Promise<unknown> {
    const { key, namespace, compute, options, fresh } = request;
    const begun = { fences: new Map<string, string>(), born: 0, replaces: false };
    const flight = new StrictFlight(this.#host, this.#init.spaces.open(namespace), key, begun);
    const result = flight.wait(options.signal, standIn);
    const { loadTimeoutMs } = fresh;
    const tag = checkTags;
    void flight.run({ compute, loadTimeoutMs, tag, land: () => false, leave: () => false });
    return result;
  }

  /** The near tier has the value as a read from the store would give it. */
  async keep(
    key: string,
    namespace: string,
    saved: string | undefined,
    born: number,
  ): Promise<void> {
    const { near, store } = this.#init;
    if (near === undefined || saved === undefined) return;
    const kept = await store.kept(saved);
    if (kept !== undefined && !this.#host.bypassed) near.put(key, namespace, kept, born);
  }

  async #land(
    flight: StrictFlight,
    value: unknown,
    ttlMs: number | undefined,
    fresh: Freshness,
  ): Promise<boolean> {
    // A newer one took over: this one could only replace what that one stores.
    if (flight.space.flights.get(flight.key) !== flight) return false;
    // Whether such a tag moved is asked once: who joined later might begin after it did.
    if (flight.lateTags.length > 0) detach(flight);
    try {
      const late = await this.#lateFences(flight);
      if (late === undefined || this.#host.bypassed) return false;
      const life = lifeOfResult(this.#host.settings, value, ttlMs, fresh);
      const gives = life !== undefined && !(value instanceof Failure);
      // The newest answer is that there is nothing: what was there before must not outlive it.
      if (!gives) await this.#remove(flight);
      if (life === undefined) return false;
      const fences = new Map([...late, ...flight.fences]);
      const { key, space, born } = flight;
      const namespace = space.name;
      if (value instanceof Failure) {
        fences.delete(this.#init.fences.any);
        const remembered = { failure: value, fences, expiresAt: life.expiresAt };
        this.#init.memory.remember(key, namespace, remembered);
        return true;
      }
      this.#init.memory.forget(key, namespace);
      const saved = await this.#init.store.save({ key, namespace, value, fences, life });
      await this.keep(key, namespace, saved, born);
      return saved !== undefined;
    } finally {
      detach(flight);
    }
  }

  async #remove({ key, space, replaces }: StrictFlight): Promise<void> {
    if (!replaces) return;
    this.#init.near?.drop(key, space.name);
    await this.#init.store.remove(key, space.name);
  }

  async #lateFences(flight: StrictFlight): Promise<FenceValues | undefined> {
    if (flight.lateTags.length === 0) return new Map();
    try {
      return await this.#init.store.lateFences(flight.lateTags, flight.fences);
    } catch (error) {
      this.#host.storeFailed("read", error);
      return undefined;
    }
  }
}

function detach(flight: StrictFlight): void {
  const { flights } = flight.space;
  if (flights.get(flight.key) === flight) flights.delete(flight.key);
}
