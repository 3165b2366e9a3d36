import { StoreError } from "./errors.ts";
import { hashOf } from "./fence.ts";
import type { Settings } from "./options.ts";
import type { MoveOptions } from "./shared-store.ts";
import type { StoreLink } from "./store-link.ts";

/** Values of fences by their keys in the store; `undefined` for a fence that is absent or not to be trusted. */
export type Observed = ReadonlyMap<string, string | undefined>;
export type FenceValues = ReadonlyMap<string, string>;

/** The values after a move, and the near tier's sequence of it. */
export interface Moved {
  readonly values: FenceValues;
  readonly seq: number;
}

const keyBuckets = 4_096;
const maxCreated = 1_000;
const maxBroken = 10_000;
const dayMs = 86_400_000;

/** Absent fences that are about to be created. */
interface Gathered {
  readonly keys: string[];
  readonly writing: Promise<FenceValues>;
  /** When it was sent, by the fences' own count of reads and creations. */
  sentAt: number;
}

interface Creation {
  readonly value: Promise<string>;
  readonly gathered: Gathered;
}

/**
 * The fences of a shared store. A fence is a value that never repeats; an entry stands while every fence it was computed under is
 * still there unchanged. An absent fence makes everything under it invalid, so losing fences is safe. A fence whose invalidation
 * the store did not confirm is broken: this process takes it for absent until a fresh value is written.
 */
export class StrictFences {
  /** Moves with every invalidation of a tag, and before it: equal at both ends of a compute, no tag moved meanwhile. */
  readonly any: string;
  readonly everything: string;
  readonly #prefix: string;
  readonly #link: StoreLink;
  readonly #lifetimeMs: number;
  readonly #moved: (fences: readonly string[]) => number;
  readonly #creating = new Map<string, Creation>();
  #gathered: Gathered | undefined;
  /** Counts the reads and creations that were sent. */
  #sent = 0;
  readonly #readAt = new WeakMap<Observed, number>();
  readonly #broken = new Map<string, number>();
  #failures = 0;

  /** `moved` is called with what this process moved, or failed to move, before anyone else learns of it. */
  constructor(settings: Settings, link: StoreLink, moved: (fences: readonly string[]) => number) {
    this.#prefix = `${settings.name}:f:`;
    this.any = `${this.#prefix}any`;
    this.everything = `${this.#prefix}all`;
    this.#link = link;
    this.#moved = moved;
    this.#lifetimeMs = Math.max(dayMs, 2 * (settings.ttlMs + longestStaleMs(settings)));
  }

  get broken(): number {
    return this.#broken.size;
  }

  tag(tag: string): string {
    return `${this.#prefix}t:${tag}`;
  }

  namespace(name: string): string {
    return `${this.#prefix}n:${name}`;
  }

  /** Keys share their fences by hash, so that there are not as many fences as keys. */
  key(key: string, namespace: string): string {
    return `${this.#prefix}k:${(hashOf(key) ^ hashOf(namespace)) & (keyBuckets - 1)}`;
  }

  /**
   * To be called before the fences are read, and its result with what was read. A fence that was broken when the read was sent is
   * not trusted, though a fresh value may have been written before the answer: the answer can be older.
   */
  watch(keys: readonly string[]): (raw: readonly unknown[]) => Observed {
    const broken = this.#broken.size === 0 ? [] : keys.filter((key) => this.#broken.has(key));
    const readAt = ++this.#sent;
    return (raw) => {
      const values = keys.map(
        (key, index) =>
          [key, broken.includes(key) ? undefined : this.#trusted(key, raw[index])] as const,
      );
      const observed: Observed = new Map(values);
      this.#readAt.set(observed, readAt);
      return observed;
    };
  }

  /** Gives every fence a value, before the compute that relies on it. @throws StoreError */
  async ensure(observed: Observed): Promise<FenceValues> {
    const absent = [...observed.keys()].filter((key) => observed.get(key) === undefined);
    const created =
      absent.length === 0 ? undefined : await this.#create(absent, this.#readAt.get(observed));
    const values = new Map<string, string>();
    for (const [key, value] of observed) values.set(key, value ?? created?.get(key) ?? "");
    return values;
  }

  /** Writes fresh values: what was computed under the old ones is invalid everywhere. @throws StoreError */
  async move(keys: readonly string[], event?: string): Promise<Moved> {
    const all = keys.some((key) => this.#isTag(key)) ? [this.any, ...keys] : keys;
    const marks = all.map((key) => this.#broken.get(key));
    let values: FenceValues;
    try {
      const first = all === keys ? [] : [this.any];
      values = await this.#write(all, { first, ...(event === undefined ? {} : { event }) });
    } catch (error) {
      for (const key of all) this.#break(key);
      throw error;
    }
    for (const [index, key] of all.entries()) {
      if (this.#broken.get(key) === marks[index]) this.#broken.delete(key);
      this.#creating.delete(key);
    }
    return { values, seq: this.#moved(all) };
  }

  #trusted(key: string, raw: unknown): string | undefined {
    return typeof raw === "string" && !this.#broken.has(key) ? raw : undefined;
  }

  /**
   * Reads that find a fence absent share the value that one of them creates, unless this process invalidated it meanwhile. One that
   * began after the creation was sent creates anew: the value may have been there, and gone again with an invalidation, before.
   */
  async #create(keys: readonly string[], readAt = Infinity): Promise<FenceValues> {
    const broken = keys.filter((key) => this.#broken.has(key));
    const whole = keys.filter((key) => !this.#broken.has(key));
    const isShared = (key: string): boolean =>
      (this.#creating.get(key)?.gathered.sentAt ?? -1) > readAt;
    const missing = whole.filter((key) => !isShared(key));
    if (missing.length > 0) {
      const gathered = this.#gather(missing);
      for (const key of missing) this.#share(key, gathered);
    }
    const creating = whole.filter((key) => this.#creating.has(key));
    const [moved, ...created] = await Promise.all([
      broken.length === 0 ? undefined : this.move(broken),
      ...creating.map((key) => this.#creating.get(key)?.value),
    ]);
    const values = new Map(moved?.values);
    for (const [index, key] of creating.entries()) values.set(key, created[index] ?? "");
    return values;
  }

  /** What the reads of one call find absent is created together. */
  #gather(keys: readonly string[]): Gathered {
    const gathered = (this.#gathered ??= this.#gathering());
    gathered.keys.push(...keys);
    return gathered;
  }

  #gathering(): Gathered {
    const keys: string[] = [];
    const write = async (): Promise<FenceValues> => {
      await Promise.resolve();
      this.#gathered = undefined;
      gathered.sentAt = ++this.#sent;
      const parts: Promise<FenceValues>[] = [];
      for (let at = 0; at < keys.length; at += maxCreated)
        parts.push(this.#write(keys.slice(at, at + maxCreated), { first: [], create: true }));
      return new Map((await Promise.all(parts)).flatMap((part) => [...part]));
    };
    const gathered: Gathered = { keys, writing: write(), sentAt: Infinity };
    return gathered;
  }

  #share(key: string, gathered: Gathered): void {
    const value = gathered.writing
      .then((values) => values.get(key) ?? "")
      .finally(() => {
        if (this.#creating.get(key)?.value === value) this.#creating.delete(key);
      });
    value.catch(() => {});
    this.#creating.set(key, { value, gathered });
  }

  async #write(
    keys: readonly string[],
    options: Omit<MoveOptions, "lifetimeMs">,
  ): Promise<FenceValues> {
    const lifetimeMs = this.#lifetimeMs;
    const values = await this.#link.moveFences(keys, { ...options, lifetimeMs });
    const lacking = keys.find((key) => typeof values.get(key) !== "string");
    if (lacking === undefined) return values;
    throw new StoreError(`the store gave the fence "${lacking}" no value`);
  }

  #break(key: string): void {
    this.#creating.delete(key);
    const full = this.#broken.size >= maxBroken && !this.#broken.has(key);
    const broken = full ? this.everything : key;
    this.#broken.set(broken, ++this.#failures);
    this.#moved([broken]);
  }

  #isTag(key: string): boolean {
    return key.startsWith(`${this.#prefix}t:`);
  }
}

function longestStaleMs({ staleWhileRevalidateMs, staleIfErrorMs }: Settings): number {
  return Math.max(staleWhileRevalidateMs, staleIfErrorMs);
}
