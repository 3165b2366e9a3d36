import { EventEmitter } from "eventemitter3";
import type { CacheError } from "./errors.ts";
import { CacheOptionError } from "./errors.ts";

export interface HitEvent {
  readonly key: string;
  readonly namespace: string;
}

export interface StaleHitEvent {
  readonly key: string;
  readonly namespace: string;
  /** It is being refreshed, its refresh failed lately, or its compute failed or is late. */
  readonly reason: "refresh" | "retry" | "error" | "timeout";
  /** Milliseconds since it expired. */
  readonly ageMs: number;
}

export interface MissEvent {
  readonly key: string;
  readonly namespace: string;
  readonly reason: "absent" | "invalidated" | "expired";
}

export interface LoadEvent {
  readonly key: string;
  readonly namespace: string;
  readonly durationMs: number;
  readonly outcome: "ok" | "error" | "timeout" | "aborted";
  /** Whether the result went into the cache. */
  readonly stored: boolean;
}

export interface InvalidateEvent {
  readonly kind: "tags" | "key" | "prefix" | "namespace" | "everything" | "epoch";
  readonly tags?: readonly string[];
  readonly key?: string;
  readonly prefix?: string;
  readonly namespace?: string;
}

export interface EvictEvent {
  readonly key: string;
  readonly namespace: string;
  readonly bytes: number;
}

export interface MismatchEvent {
  readonly key: string;
  readonly namespace: string;
  readonly cached: unknown;
  readonly computed: unknown;
}

export interface SubscriberErrorEvent {
  readonly type: string;
  readonly error: unknown;
}

export interface StoreErrorEvent {
  readonly operation: "read" | "write" | "invalidate" | "epoch";
  readonly error: CacheError;
}

export interface CacheEventMap {
  hit: (event: HitEvent) => void;
  staleHit: (event: StaleHitEvent) => void;
  miss: (event: MissEvent) => void;
  load: (event: LoadEvent) => void;
  invalidate: (event: InvalidateEvent) => void;
  evict: (event: EvictEvent) => void;
  mismatch: (event: MismatchEvent) => void;
  subscriberError: (event: SubscriberErrorEvent) => void;
  storeError: (event: StoreErrorEvent) => void;
}

export type CacheEventName = keyof CacheEventMap;

const names: Readonly<Record<CacheEventName, true>> = {
  hit: true,
  staleHit: true,
  miss: true,
  load: true,
  invalidate: true,
  evict: true,
  mismatch: true,
  subscriberError: true,
  storeError: true,
};

/** @throws CacheOptionError */
export function checkEventName(name: unknown): void {
  if (typeof name !== "string" || !Object.hasOwn(names, name))
    throw new CacheOptionError("event", `one of ${Object.keys(names).join(", ")}`, name);
}

/** The cache's own events. A listener that throws becomes a process warning and disturbs nobody. */
export class Announcer {
  readonly #emitter = new EventEmitter<CacheEventMap>();
  #hearsHits = false;

  get hearsHits(): boolean {
    return this.#hearsHits;
  }

  listenerCount(name: CacheEventName): number {
    return this.#emitter.listenerCount(name);
  }

  hears(name: CacheEventName): boolean {
    return this.listenerCount(name) > 0;
  }

  on<N extends CacheEventName>(name: N, listener: CacheEventMap[N]): void {
    this.#emitter.on(name, listener as EventEmitter.EventListener<CacheEventMap, N>);
    this.#hearsHits = this.hears("hit");
  }

  off<N extends CacheEventName>(name: N, listener: CacheEventMap[N]): void {
    this.#emitter.off(name, listener as EventEmitter.EventListener<CacheEventMap, N>);
    this.#hearsHits = this.hears("hit");
  }

  emit<N extends CacheEventName>(name: N, event: Parameters<CacheEventMap[N]>[0]): void {
    for (const listener of this.#emitter.listeners(name)) {
      try {
        const result = (listener as (event: unknown) => unknown)(event);
        if (result instanceof Promise) result.catch((error: unknown) => warn(name, error));
      } catch (error) {
        warn(name, error);
      }
    }
  }

  close(): void {
    this.#emitter.removeAllListeners();
    this.#hearsHits = false;
  }
}

function warn(name: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  process.emitWarning(`a listener of "${name}" threw: ${reason}`, {
    type: "CacheEventsWarning",
    code: "CACHE_LISTENER",
  });
}
