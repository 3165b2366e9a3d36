import type { MissEvent } from "./cache-events.ts";
import type { Life } from "./freshness.ts";
import { staleUntil } from "./freshness.ts";
import type { Host } from "./host.ts";
import type { StoreLink } from "./store-link.ts";
import type { FenceValues, Observed, StrictFences } from "./strict-fences.ts";

/**
 * An entry as it is stored: its value, the moments of its life, and the fences it was computed under. What is infinite or says
 * nothing new is left out.
 */
interface StoredEntry {
  readonly v?: unknown;
  /** Instead of `v`, for an `undefined` that is remembered. */
  readonly n?: 1;
  /** When it is to be refreshed. */
  readonly r?: number;
  /** When it expires. */
  readonly u?: number;
  /** Until when it may be served stale. */
  readonly s?: number;
  readonly f: readonly FenceValue[];
}

type FenceValue = readonly [key: string, value: string];

/** What the store keeps, as it comes back from there. */
export interface Kept extends Life {
  readonly value: unknown;
  readonly fences: readonly FenceValue[];
}

export interface Ask {
  readonly key: string;
  readonly namespace: string;
  readonly tags: readonly string[];
  /** For how long after it expired a value is still of use. */
  readonly staleMs: number;
}

export interface Look {
  /** The entry, if all its fences stand and it is of use. */
  readonly kept: Kept | undefined;
  /** Why a read misses that cannot use `kept` as it is. */
  readonly reason: MissEvent["reason"];
  /** The fences of the read, as they were after it began. */
  readonly observed: Observed;
}

export interface Save {
  readonly key: string;
  readonly namespace: string;
  readonly value: unknown;
  readonly fences: FenceValues;
  readonly life: Life;
}

/** Stands for "for ever" where JSON has no infinity. */
const never = Number.MAX_SAFE_INTEGER;

/** The entries in the store. */
export class StrictStore {
  readonly #host: Host;
  readonly #link: StoreLink;
  readonly #fences: StrictFences;

  constructor(host: Host, link: StoreLink, fences: StrictFences) {
    this.#host = host;
    this.#link = link;
    this.#fences = fences;
  }

  /**
   * Reads entries and their fences in one round trip; in two when one has tags that its reader did not name.
   *
   * @throws StoreError
   */
  async look(asks: readonly Ask[]): Promise<readonly Look[]> {
    const names = asks.map((ask) => this.#fenceKeys(ask));
    const keys = [...new Set(names.flat())];
    const observe = this.#fences.watch(keys);
    const entryKeys = asks.map(({ key, namespace }) => this.#entryKey(key, namespace));
    const raw = await this.#link.read([...entryKeys, ...keys]);
    const observed = observe(raw.slice(asks.length));
    const entries = await Promise.all(entryKeys.map((_key, index) => this.#decode(raw[index])));
    const kept = entries.map((entry) => entry && keptOf(entry));
    const now = this.#host.settings.now();
    const useful = kept.map((one, index) => {
      const { staleMs } = asks[index] ?? { staleMs: 0 };
      return one !== undefined && now < staleUntil(one, staleMs) ? one : undefined;
    });
    const all = await this.#alsoOf(useful, observed);
    return asks.map((_ask, index) => ({
      ...judge(kept[index], useful[index], all, now),
      observed: new Map((names[index] ?? []).map((name) => [name, observed.get(name)])),
    }));
  }

  /** Whether the fences have these values now; those observed already are not asked for again. @throws StoreError */
  async stand(fences: FenceValues, observed: Observed): Promise<boolean> {
    const rest = [...fences.keys()].filter((fence) => !observed.has(fence));
    const others = await this.#observe(rest);
    return [...fences].every(
      ([fence, value]) => (observed.get(fence) ?? others.get(fence)) === value,
    );
  }

  /** What the store now has under the key; a store that fails costs the entry, not the read. */
  async save({ key, namespace, value, fences, life }: Save): Promise<string | undefined> {
    const { settings } = this.#host;
    const lifetime = life.staleUntil - settings.now();
    const finite = Number.isFinite(lifetime);
    const entry: StoredEntry = {
      ...(value === undefined ? { n: 1 } : { v: value }),
      ...momentsOf(life),
      f: [...fences].filter(([fence]) => fence !== this.#fences.any),
    };
    try {
      const expires = finite ? Math.ceil(Date.now() + lifetime) : undefined;
      const encoded = await this.#link.encode(entry, expires);
      const item = { key: this.#entryKey(key, namespace), value: encoded };
      await this.#link.write([finite ? { ...item, expiresInMs: lifetime } : item]);
      return encoded;
    } catch (error) {
      this.#host.storeFailed("write", error);
      return undefined;
    }
  }

  /** What `save` gave back, read as if it came from the store. */
  async kept(saved: string): Promise<Kept | undefined> {
    const entry = await this.#decode(saved);
    return entry && keptOf(entry);
  }

  /**
   * The fences of tags that came out of the compute, if no tag at all has moved since it began; otherwise `undefined`, for they
   * might be newer than the compute. The order matters: an invalidation moves `any` first.
   *
   * @throws StoreError
   */
  async lateFences(tags: readonly string[], begun: FenceValues): Promise<FenceValues | undefined> {
    const { any } = this.#fences;
    const keys = tags.map((tag) => this.#fences.tag(tag));
    const late = await this.#fences.ensure(await this.#observe(keys));
    const [now] = await this.#link.read([any]);
    return now === begun.get(any) ? late : undefined;
  }

  /** What a value comes back as, after the way through the store. */
  async roundTrip(value: unknown): Promise<unknown> {
    return this.#link.decode(await this.#link.encode(value, undefined));
  }

  async remove(key: string, namespace: string): Promise<void> {
    await this.#link.remove(this.#entryKey(key, namespace));
  }

  /** With the fences of the entries that no reader named. */
  async #alsoOf(entries: readonly (Kept | undefined)[], observed: Observed): Promise<Observed> {
    const rest = new Set<string>();
    for (const entry of entries) {
      for (const [fence] of entry?.fences ?? []) if (!observed.has(fence)) rest.add(fence);
    }
    return rest.size === 0 ? observed : new Map([...observed, ...(await this.#observe([...rest]))]);
  }

  async #observe(keys: readonly string[]): Promise<Observed> {
    const observe = this.#fences.watch(keys);
    return observe(keys.length === 0 ? [] : await this.#link.read(keys));
  }

  #entryKey(key: string, namespace: string): string {
    return `${this.#host.settings.name}:e:${namespace.length}:${namespace}:${key}`;
  }

  #fenceKeys({ key, namespace, tags }: Ask): readonly string[] {
    const fences = this.#fences;
    return [
      fences.any,
      fences.everything,
      fences.namespace(namespace),
      fences.key(key, namespace),
      ...new Set(tags.map((tag) => fences.tag(tag))),
    ];
  }

  async #decode(raw: string | undefined): Promise<StoredEntry | undefined> {
    if (raw === undefined) return undefined;
    try {
      const entry = await this.#link.decode(raw);
      return isStoredEntry(entry) ? entry : undefined;
    } catch (error) {
      this.#host.storeFailed("read", error);
      return undefined;
    }
  }
}

function judge(
  entry: Kept | undefined,
  useful: Kept | undefined,
  fences: Observed,
  now: number,
): Omit<Look, "observed"> {
  if (entry === undefined) return { kept: undefined, reason: "absent" };
  if (useful === undefined) return { kept: undefined, reason: "expired" };
  if (!useful.fences.every(([fence, value]) => fences.get(fence) === value))
    return { kept: undefined, reason: "invalidated" };
  return { kept: useful, reason: now < useful.expiresAt ? "absent" : "expired" };
}

function momentsOf({
  renewAt,
  expiresAt,
  staleUntil: until,
}: Life): Pick<StoredEntry, "r" | "u" | "s"> {
  if (!Number.isFinite(expiresAt)) return {};
  return {
    u: expiresAt,
    ...(renewAt < expiresAt ? { r: renewAt } : {}),
    ...(until > expiresAt ? { s: Math.min(until, never) } : {}),
  };
}

function keptOf({ v, f, r, u, s }: StoredEntry): Kept {
  const expiresAt = u ?? Infinity;
  return {
    value: v,
    fences: f,
    renewAt: Math.min(r ?? expiresAt, expiresAt),
    expiresAt,
    staleUntil: Math.max(s ?? expiresAt, expiresAt),
  };
}

function isStoredEntry(value: unknown): value is StoredEntry {
  if (typeof value !== "object" || value === null) return false;
  const { n, r, u, s, f } = value as Partial<StoredEntry>;
  return ("v" in value || n === 1) && [r, u, s].every(isMoment) && Array.isArray(f) && f.length > 0;
}

function isMoment(value: unknown): boolean {
  return value === undefined || typeof value === "number";
}
