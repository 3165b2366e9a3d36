/** What is counted for the cache and for each namespace. */
export class ReadCounts {
  hits = 0;
  misses = 0;
  staleHits = 0;
  staleMisses = 0;
  loads = 0;
  loadErrors = 0;
  coalesced = 0;
  evictions = 0;
}

export class CacheCounts extends ReadCounts {
  invalidations = 0;
  verifyMismatches = 0;
  storeErrors = 0;
}

export interface NamespaceStats {
  /** Reads answered from the cache. */
  readonly hits: number;
  /** Reads that found nothing they could use. */
  readonly misses: number;
  /**
   * Reads that got a value past its ttl: at once, then also a hit, or because the compute failed or was late, then also a miss.
   * Such a value was never invalidated.
   */
  readonly staleHits: number;
  /** Misses that found an entry, invalidated or expired. */
  readonly staleMisses: number;
  /** Computes begun. */
  readonly loads: number;
  /** Computes that failed or ran into `loadTimeoutMs`. */
  readonly loadErrors: number;
  /** Misses that shared the compute of another read. */
  readonly coalesced: number;
  /** Entries removed to make room. */
  readonly evictions: number;
  /** Entries in memory, with those that nobody has read since they became invalid. */
  readonly entries: number;
  /** hits / (hits + misses); 0 before the first read. */
  readonly hitRatio: number;
}

export interface TagStats {
  /** Entries in memory that have the tag, with those that nobody has read since they became invalid. */
  readonly entries: number;
  /** Invalidations of the tag, counted from when its oldest entry or compute got it. */
  readonly invalidations: number;
}

export interface CacheTotals extends NamespaceStats {
  /** Fences moved: one for each tag, key, prefix, namespace, or for everything. */
  readonly invalidations: number;
  /** Estimated size of the entries in memory. */
  readonly memoryBytes: number;
  readonly verifyMismatches: number;
  readonly storeErrors: number;
  readonly bypassed: boolean;
  /** Refreshes under way that no reader waits for; they are among the flights. */
  readonly refreshes: number;
  /** Computes under way. */
  readonly flights: number;
  /**
   * Tags that are remembered because an entry or a compute under way refers to them; with a store, the fences whose
   * invalidation it has not confirmed.
   */
  readonly tags: number;
  /** Keys evicted lately that the eviction policy remembers; never more than entries. */
  readonly ghosts: number;
}

export interface CacheStats extends CacheTotals {
  /** The namespaces with entries or computes under way, and some that had. */
  readonly byNamespace: Readonly<Record<string, NamespaceStats>>;
  /** The tags with the most entries, at most a hundred of those that an entry or a compute under way has. Empty with a store. */
  readonly byTag: Readonly<Record<string, TagStats>>;
}

export function namespaceStats(counts: ReadCounts, entries: number): NamespaceStats {
  const { hits, misses, staleHits, staleMisses, loads, loadErrors, coalesced, evictions } = counts;
  const reads = hits + misses;
  const hitRatio = reads === 0 ? 0 : hits / reads;
  return {
    hits,
    misses,
    staleHits,
    staleMisses,
    loads,
    loadErrors,
    coalesced,
    evictions,
    entries,
    hitRatio,
  };
}
