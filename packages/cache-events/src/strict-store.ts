import type { MissEvent } from "./cache-events.ts";
import type { Host } from "./host.ts";
import { lifetimeMs } from "./options.ts";
import type { StoreLink } from "./store-link.ts";
import type { FenceValues, Observed, StrictFences } from "./strict-fences.ts";

/** An entry as it is stored: its value, when it expires, and the fences it was computed under. */
interface StoredEntry {
  readonly v: unknown;
  /** Left out for an entry that does not expire. */
  readonly u?: number;
  readonly f: readonly FenceValue[];
}

type FenceValue = readonly [key: string, value: string];

/** What the store keeps, as it comes back from there. */
export interface Kept {
  readonly value: unknown;
  readonly fences: readonly FenceValue[];
  /** `Infinity` for what does not expire. */
  readonly expiresAt: number;
}

export interface Look {
  readonly hit: Kept | undefined;
  readonly reason: MissEvent["reason"];
  /** The fences of the read, as they were after it began. */
  readonly observed: Observed;
}

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
   * Reads the entry and its fences in one round trip; in two when the entry has tags that the reader did not name.
   *
   * @throws StoreError
   */
  async look(key: string, namespace: string, tags: readonly string[]): Promise<Look> {
    const keys = this.#fenceKeys(key, namespace, tags);
    const observe = this.#fences.watch(keys);
    const [raw, ...fences] = await this.#link.read([this.#entryKey(key, namespace), ...keys]);
    const observed = observe(fences);
    const entry = await this.#decode(raw);
    if (entry === undefined) return { hit: undefined, reason: "absent", observed };
    if (this.#host.settings.now() >= (entry.u ?? Infinity))
      return { hit: undefined, reason: "expired", observed };
    const rest = entry.f.map(([fence]) => fence).filter((fence) => !observed.has(fence));
    const others = await this.#observe(rest);
    const stands = entry.f.every(
      ([fence, value]) => (observed.get(fence) ?? others.get(fence)) === value,
    );
    return { hit: stands ? keptOf(entry) : undefined, reason: "invalidated", observed };
  }

  /** What the store now has under the key; a store that fails costs the entry, not the read. */
  async save(
    key: string,
    namespace: string,
    value: unknown,
    fences: FenceValues,
    ttlMs: number | undefined,
  ): Promise<string | undefined> {
    const { settings } = this.#host;
    const lifetime = lifetimeMs(settings, ttlMs);
    const finite = Number.isFinite(lifetime);
    const entry: StoredEntry = {
      v: value,
      f: [...fences].filter(([fence]) => fence !== this.#fences.any),
      ...(finite ? { u: settings.now() + lifetime } : {}),
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

  async #observe(keys: readonly string[]): Promise<Observed> {
    const observe = this.#fences.watch(keys);
    return observe(keys.length === 0 ? [] : await this.#link.read(keys));
  }

  #entryKey(key: string, namespace: string): string {
    return `${this.#host.settings.name}:e:${namespace.length}:${namespace}:${key}`;
  }

  #fenceKeys(key: string, namespace: string, tags: readonly string[]): readonly string[] {
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

function keptOf({ v, f, u }: StoredEntry): Kept {
  return { value: v, fences: f, expiresAt: u ?? Infinity };
}

function isStoredEntry(value: unknown): value is StoredEntry {
  if (typeof value !== "object" || value === null || !("v" in value)) return false;
  const { u, f } = value as Partial<StoredEntry>;
  return (u === undefined || typeof u === "number") && Array.isArray(f) && f.length > 0;
}
