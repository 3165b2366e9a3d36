import type { CacheFeature, CacheUnderTest } from "./cache-under-test.ts";

/** As much of an `EventCache` as the suite uses. */
export interface EventCacheLike extends Pick<CacheUnderTest, "peek"> {
  getOrSet: CacheUnderTest["getOrSet"];
  invalidateByTags(tags: readonly string[]): Promise<void>;
  delete(key: string, options: { readonly namespace?: string }): Promise<void>;
  set(
    key: string,
    value: unknown,
    options: { readonly namespace?: string; readonly tags?: readonly string[] },
  ): Promise<void>;
  get(key: string, options: { readonly namespace?: string }): Promise<unknown>;
  peek(key: string, options: { readonly namespace?: string }): unknown;
  clear(selection?: { readonly namespace?: string; readonly prefix?: string }): Promise<void>;
  write(tags: readonly string[], mutate: () => Promise<void>): Promise<unknown>;
  close(): Promise<void>;
}

export interface EventCacheUnderTestOptions {
  /** Whether it can clear a prefix: not with a store. */
  readonly prefixes: boolean;
  /** Default: namespaces, lateTags and signal. */
  readonly features?: readonly CacheFeature[];
}

/** An `EventCache`, over memory or over any store, as the suite takes it. */
export function eventCacheUnderTest(
  cache: EventCacheLike,
  { prefixes, features = ["namespaces", "lateTags", "signal"] }: EventCacheUnderTestOptions,
): CacheUnderTest {
  return {
    features,
    getOrSet: (key, compute, options) => cache.getOrSet(key, compute, options),
    invalidateByTags: (tags) => cache.invalidateByTags(tags),
    delete: (key, options) => cache.delete(key, options),
    set: (key, value, options) => cache.set(key, value, options),
    get: (key, options) => cache.get(key, options),
    peek: (key, options) => cache.peek(key, options),
    clear: () => cache.clear(),
    ...(prefixes && { clearPrefix: (prefix: string) => cache.clear({ prefix }) }),
    clearNamespace: (namespace) => cache.clear({ namespace }),
    write: (tags, mutate) => cache.write(tags, mutate),
    close: () => cache.close(),
  };
}
