/** What a compute of the suite may be handed; a cache passes what it has. */
export interface ComputeContextUnderTest {
  readonly signal?: AbortSignal;
  readonly tag?: (...tags: string[]) => void;
}

export type ComputeUnderTest = (context?: ComputeContextUnderTest) => Promise<unknown>;

export interface KeyOptionsUnderTest {
  readonly namespace?: string;
}

export interface SetOptionsUnderTest extends KeyOptionsUnderTest {
  readonly tags: readonly string[];
}

export interface GetOrSetOptionsUnderTest extends SetOptionsUnderTest {
  readonly signal?: AbortSignal;
}

/** What no method can tell about a cache. Namespaces, tags named by the compute, abort signals and stale serving are tested only where named. */
export type CacheFeature = "namespaces" | "lateTags" | "signal" | "staleWhileRevalidate";

/**
 * A cache as the suite sees it. What is optional and absent is skipped and reported. Values are plain JSON objects; a cache may
 * return the object itself or a copy. Every method that invalidates must resolve only when it claims to have invalidated.
 */
export interface CacheUnderTest {
  getOrSet(
    key: string,
    compute: ComputeUnderTest,
    options: GetOrSetOptionsUnderTest,
  ): Promise<unknown>;
  invalidateByTags(tags: readonly string[]): Promise<unknown>;
  delete?(key: string, options: KeyOptionsUnderTest): Promise<unknown>;
  set?(key: string, value: unknown, options: SetOptionsUnderTest): Promise<unknown>;
  get?(key: string, options: KeyOptionsUnderTest): Promise<unknown>;
  /** A synchronous read; `undefined` for what is not in memory. */
  peek?(key: string, options: KeyOptionsUnderTest): unknown;
  /** Invalidates everything. */
  clear?(): Promise<unknown>;
  clearPrefix?(prefix: string): Promise<unknown>;
  clearNamespace?(namespace: string): Promise<unknown>;
  /** Runs a mutation and invalidates around it. */
  write?(tags: readonly string[], mutate: () => Promise<void>): Promise<unknown>;
  readonly features?: readonly CacheFeature[];
  /** Resolves when what it does in the background is done, so far as it can tell; by default the suite lets the event loop turn. */
  settled?(): Promise<void>;
  /** Something that may happen to its store at any time: an eviction, a failing call. A race calls it now and then. */
  disturb?(random: () => number): void | Promise<void>;
  close?(): Promise<unknown>;
}

/** What a case needs a cache to have. */
export type CacheNeed =
  | CacheFeature
  | "delete"
  | "set"
  | "get"
  | "peek"
  | "clear"
  | "clearPrefix"
  | "clearNamespace"
  | "write";

export interface KnownEntry {
  readonly key: string;
  readonly tags: readonly string[];
}

export interface OpenContext {
  /** The same for the caches that shall share their entries, and never used again: a prefix for the keys in a shared store. */
  readonly name: string;
  /** Number of the cache among those of this name, from 0. */
  readonly worker: number;
  /** Milliseconds since the Unix epoch by this worker's own clock, which may be set apart from the others'. */
  readonly now: () => number;
  /** Lifetime that entries should have, in ms of `now`. */
  readonly ttlMs: number;
  /** For how long after that a cache with `staleWhileRevalidate` should serve them, in ms of `now`. */
  readonly staleMs: number;
  /** How many entries it should keep in memory at most. */
  readonly maxEntries: number;
  /** Seeded, from 0 to 1. */
  readonly random: () => number;
  /** Resolves in an order that the seed decides: a store double awaits it to have its calls interleaved. */
  readonly turn: () => Promise<void>;
  /**
   * The keys of a race with all their tags, for a cache that has no tags and needs to know which keys to delete; none for the
   * other cases, where it learns them from its readers.
   */
  readonly entries: readonly KnownEntry[];
  /** What `data` of the race was set to. */
  readonly data: unknown;
}

export type OpenCache = (context: OpenContext) => CacheUnderTest | Promise<CacheUnderTest>;

const features: ReadonlySet<string> = new Set<CacheFeature>([
  "namespaces",
  "lateTags",
  "signal",
  "staleWhileRevalidate",
]);

export function has(cache: CacheUnderTest, need: CacheNeed): boolean {
  if (features.has(need)) return cache.features?.includes(need as CacheFeature) === true;
  return typeof cache[need as keyof CacheUnderTest] === "function";
}
