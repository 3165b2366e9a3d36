import type {
  Announcer,
  InvalidateEvent,
  MissEvent,
  StaleHitEvent,
  StoreErrorEvent,
} from "./cache-events.ts";
import { CacheError, StoreError } from "./errors.ts";
import type { Flight } from "./flight.ts";
import type { Settings } from "./options.ts";
import type { Space } from "./space.ts";
import type { CacheCounts } from "./stats.ts";

/** What both engines share with the cache: its settings, its events, and the counting. */
export class Host {
  readonly settings: Settings;
  readonly announcer: Announcer;
  readonly counts: CacheCounts;
  /** Every compute under way, also those that no new reader may join. */
  readonly running: Set<Flight> = new Set();
  /** Set when the cache is closed: nothing is computed any more. */
  closed: Error | undefined;
  /** Reads compute and nothing is stored. */
  bypassed = false;

  constructor(settings: Settings, announcer: Announcer, counts: CacheCounts) {
    this.settings = settings;
    this.announcer = announcer;
    this.counts = counts;
  }

  hit(space: Space, key: string): void {
    this.counts.hits++;
    space.counts.hits++;
    if (this.announcer.hearsHits) this.announcer.emit("hit", { key, namespace: space.name });
  }

  /** A value past its ttl was handed out, at once or instead of waiting on. */
  staleHit(space: Space, key: string, reason: StaleHitEvent["reason"], ageMs: number): void {
    this.counts.staleHits++;
    space.counts.staleHits++;
    if (this.announcer.hears("staleHit"))
      this.announcer.emit("staleHit", { key, namespace: space.name, reason, ageMs });
  }

  miss(space: Space, key: string, reason: MissEvent["reason"]): void {
    this.counts.misses++;
    space.counts.misses++;
    if (reason !== "absent") {
      this.counts.staleMisses++;
      space.counts.staleMisses++;
    }
    if (this.announcer.hears("miss"))
      this.announcer.emit("miss", { key, namespace: space.name, reason });
  }

  countLoad(space: Space): void {
    this.counts.loads++;
    space.counts.loads++;
  }

  countLoadError(space: Space): void {
    this.counts.loadErrors++;
    space.counts.loadErrors++;
  }

  countCoalesced(space: Space): void {
    this.counts.coalesced++;
    space.counts.coalesced++;
  }

  invalidated(fences: number, event: InvalidateEvent): void {
    this.counts.invalidations += fences;
    if (this.announcer.hears("invalidate")) this.announcer.emit("invalidate", event);
  }

  storeFailed(operation: StoreErrorEvent["operation"], cause: unknown): void {
    this.counts.storeErrors++;
    if (!this.announcer.hears("storeError")) return;
    const error =
      cause instanceof CacheError ? cause : new StoreError(`the ${operation} failed`, { cause });
    this.announcer.emit("storeError", { operation, error });
  }
}
