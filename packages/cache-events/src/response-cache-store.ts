import { createHash, randomUUID } from "node:crypto";
import type { Check } from "./checks.ts";
import { checkOptions, checkText, having, number, typed } from "./checks.ts";
import { systemClock } from "./clock.ts";
import { ownTag } from "./own-tags.ts";
import { PendingFetches } from "./pending-fetches.ts";
import { tagsOf } from "./tool-policy.ts";

/** What the client asks for: the method, its parameters, and for whom of which server, in the client's own words. */
export interface ResponseCacheKey {
  readonly method: string;
  readonly params?: string;
  readonly partition?: string;
}

export interface ResponseCacheEntry {
  readonly value: string;
  readonly stamp: number;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt?: number;
  readonly scope?: "public" | "private";
}

/** What a ResponseCacheStore needs of an EventCache. */
export interface ResponseCacheBackend {
  get<V>(key: string, options: { readonly namespace: string }): Promise<V | undefined>;
  set(key: string, value: unknown, options: SlotOptions): Promise<void>;
  getOrSet<V>(key: string, compute: () => V | Promise<V>, options: SlotOptions): Promise<V>;
  delete(key: string, options: { readonly namespace: string }): Promise<void>;
  invalidateByTags(tags: readonly string[]): Promise<void>;
  clear(selection: { readonly namespace: string }): Promise<void>;
}

interface SlotOptions {
  readonly namespace: string;
  readonly tags: readonly string[];
  readonly ttlMs: number;
}

export interface ResponseCacheStoreOptions {
  /** Which server the client talks to, as its user knows it, such as the URL: what the server says of itself proves nothing. */
  readonly server: string;
  /** For whom; stores with the same one share private responses. Without it they stay in this store. */
  readonly principal?: string;
  /** Tags of a response beyond those that the client's own invalidations need. */
  readonly tags?: (key: ResponseCacheKey) => readonly string[];
  /** Longest time between the miss and the response. */
  readonly fetchTimeoutMs?: number;
  /** How long lists are held for the client's schemas when they may no longer be served. */
  readonly retainMs?: number;
  readonly now?: () => number;
}

const checks: Readonly<Record<keyof ResponseCacheStoreOptions, Check>> = {
  server: checkText,
  principal: checkText,
  tags: typed("function"),
  fetchTimeoutMs: number(1, 86_400_000),
  retainMs: number(1, 2_592_000_000),
  now: typed("function"),
};

/**
 * A `responseCacheStore` for the client of `@modelcontextprotocol/client`, over an EventCache that several clients, and with a store
 * several processes, share. Public responses are shared by the stores of one server, private ones by those of one principal.
 *
 * A response whose fetch may have begun before an invalidation is never served after it: such a list is held for the client's
 * schemas alone, as expired. A fetch with `cacheMode: "refresh"` begins without a word to the store. Its response is not served,
 * either, unless another fetch of the same key is under way, for whose response it is then taken.
 *
 * @throws CacheOptionError
 */
export function responseCacheStore(
  cache: ResponseCacheBackend,
  options: ResponseCacheStoreOptions,
): ResponseCacheStore {
  having("an EventCache", "get", "getOrSet", "set", "invalidateByTags")("cache", cache);
  checkOptions(options, checks);
  checkText("server", options.server);
  return new ResponseCacheStore(cache, options);
}

export class ResponseCacheStore {
  readonly #cache: ResponseCacheBackend;
  readonly #namespace: string;
  readonly #principal: string;
  readonly #tags: ResponseCacheStoreOptions["tags"];
  readonly #retainMs: number;
  readonly #now: () => number;
  readonly #fetches: PendingFetches;
  #stamp = 0;

  constructor(cache: ResponseCacheBackend, options: ResponseCacheStoreOptions) {
    const { server, principal, tags, now = systemClock } = options;
    this.#cache = cache;
    this.#namespace = `mcp-client:${server}`;
    this.#principal = principal === undefined ? randomUUID() : digest(principal);
    this.#tags = tags;
    this.#retainMs = options.retainMs ?? 86_400_000;
    this.#now = now;
    this.#fetches = new PendingFetches(options.fetchTimeoutMs ?? 300_000, now);
  }

  /** A fresh response if there is one, else one that has expired: the client does not serve it. */
  async get(key: ResponseCacheKey): Promise<ResponseCacheEntry | undefined> {
    const own = await this.#find(key, "private");
    if (own !== undefined && this.#isFresh(own)) return own;
    const shared = await this.#find(key, "public");
    if (shared !== undefined && this.#isFresh(shared)) return shared;
    const tags = this.#tagsOf(key);
    if (tags !== undefined) this.#fetches.begin(idOf(key), await this.#generation(key, tags));
    return own ?? shared;
  }

  async set(
    key: ResponseCacheKey,
    entry: Omit<ResponseCacheEntry, "stamp">,
  ): Promise<ResponseCacheEntry["stamp"]> {
    const scope = entry.scope === "public" ? "public" : "private";
    const stored: ResponseCacheEntry = { ...entry, scope, stamp: this.#nextStamp() };
    const generation = this.#fetches.finish(idOf(key));
    const tags = this.#tagsOf(key);
    const known = generation !== undefined && tags !== undefined && this.#isFresh(stored);
    if (!known || !(await this.#keep(key, scope, stored, tags, generation)))
      await this.#retain(key, scope, stored, tags ?? this.#ownTags(key));
    await this.#drop(key, scope === "public" ? "private" : "public");
    return stored.stamp;
  }

  /** @throws InvalidationError when the store did not confirm. */
  async delete(key: ResponseCacheKey): Promise<void> {
    await this.#cache.invalidateByTags([this.#tag(idOf(key))]);
  }

  /** Every response of `method` from this server, for everyone. */
  async evict(method: string): Promise<void> {
    await this.#cache.invalidateByTags([this.#tag(method)]);
  }

  /** Everything from this server, for everyone. */
  async clear(): Promise<void> {
    await this.#cache.clear({ namespace: this.#namespace });
  }

  /** Stores the response unless the key has been invalidated since `generation`; the cache's own fence covers the rest. */
  async #keep(
    key: ResponseCacheKey,
    scope: "public" | "private",
    stored: ResponseCacheEntry,
    tags: readonly string[],
    generation: string,
  ): Promise<boolean> {
    await this.#drop(key, scope);
    try {
      await this.#cache.getOrSet(
        this.#slot(key, scope),
        async () => {
          if ((await this.#generation(key, tags)) !== generation) throw new Outdated();
          return stored;
        },
        this.#slotOptions(tags, stored.expiresAt ?? 0, key),
      );
      return true;
    } catch (error) {
      if (error instanceof Outdated) return false;
      throw error;
    }
  }

  async #retain(
    key: ResponseCacheKey,
    scope: "public" | "private",
    stored: ResponseCacheEntry,
    tags: readonly string[],
  ): Promise<void> {
    if (isRead(key)) return this.#drop(key, scope);
    const options = this.#slotOptions(tags, 0, key);
    await this.#cache.set(this.#slot(key, scope), { ...stored, expiresAt: 0 }, options);
  }

  #find(
    key: ResponseCacheKey,
    scope: "public" | "private",
  ): Promise<ResponseCacheEntry | undefined> {
    return this.#cache.get<ResponseCacheEntry>(this.#slot(key, scope), {
      namespace: this.#namespace,
    });
  }

  async #drop(key: ResponseCacheKey, scope: "public" | "private"): Promise<void> {
    if ((await this.#find(key, scope)) === undefined) return;
    await this.#cache.delete(this.#slot(key, scope), { namespace: this.#namespace });
  }

  /** A value that never repeats, made anew after every invalidation of the key. */
  #generation(key: ResponseCacheKey, tags: readonly string[]): Promise<string> {
    return this.#cache.getOrSet<string>(JSON.stringify(["generation", idOf(key)]), randomUUID, {
      namespace: this.#namespace,
      tags,
      ttlMs: this.#retainMs,
    });
  }

  #slot(key: ResponseCacheKey, scope: "public" | "private"): string {
    return JSON.stringify([scope, scope === "public" ? "" : this.#principal, idOf(key)]);
  }

  #slotOptions(tags: readonly string[], expiresAt: number, key: ResponseCacheKey): SlotOptions {
    const leastMs = isRead(key) ? 1 : this.#retainMs;
    const ttlMs = Math.max(leastMs, expiresAt - this.#now());
    return { namespace: this.#namespace, tags, ttlMs };
  }

  /** `undefined` when the user's function cannot tell: then nothing could invalidate the response. */
  #tagsOf(key: ResponseCacheKey): readonly string[] | undefined {
    const tags = tagsOf(this.#tags, key);
    return tags && [...new Set([...this.#ownTags(key), ...tags])];
  }

  #ownTags(key: ResponseCacheKey): readonly string[] {
    return [this.#tag(idOf(key)), this.#tag(key.method)];
  }

  #tag(of: string): string {
    return ownTag(this.#namespace, of);
  }

  #isFresh({ expiresAt = 0 }: ResponseCacheEntry): boolean {
    return expiresAt > this.#now();
  }

  /** Grows with every write, and differs between processes that share a store. */
  #nextStamp(): number {
    const noise = Math.floor(Math.random() * 4_096);
    this.#stamp = Math.max(this.#stamp + 1, Math.floor(this.#now()) * 4_096 + noise);
    return this.#stamp;
  }
}

class Outdated extends Error {}

/** Only such keys are without number; the client needs the others for its schemas. */
function isRead({ method }: ResponseCacheKey): boolean {
  return method === "resources/read";
}

function idOf({ method, params = "", partition = "" }: ResponseCacheKey): string {
  return JSON.stringify([method, params, partition]);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
