import { randomUUID } from "node:crypto";
import { hashOf } from "./fence.ts";
import type { Settings } from "./options.ts";
import type { StoreLink } from "./store-link.ts";

/** Values of fences by their keys in the store; `undefined` for a fence that is absent or not to be trusted. */
export type Observed = ReadonlyMap<string, string | undefined>;
export type FenceValues = ReadonlyMap<string, string>;

const keyBuckets = 4_096;
const maxBroken = 10_000;
const dayMs = 86_400_000;

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
  readonly #creating = new Map<string, Promise<string>>();
  readonly #broken = new Map<string, number>();
  #failures = 0;

  constructor(settings: Settings, link: StoreLink) {
    this.#prefix = `${settings.name}:f:`;
    this.any = `${this.#prefix}any`;
    this.everything = `${this.#prefix}all`;
    this.#link = link;
    this.#lifetimeMs = Math.max(dayMs, 2 * settings.ttlMs);
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

  observe(keys: readonly string[], raw: readonly unknown[]): Observed {
    return new Map(keys.map((key, index) => [key, this.#trusted(key, raw[index])]));
  }

  /** Gives every fence a value, before the compute that relies on it. @throws StoreError */
  async ensure(observed: Observed): Promise<FenceValues> {
    const values = await Promise.all(
      [...observed].map(async ([key, value]) => [key, value ?? (await this.#create(key))] as const),
    );
    return new Map(values);
  }

  /** Writes fresh values: what was computed under the old ones is invalid everywhere. @throws StoreError */
  async move(keys: readonly string[]): Promise<FenceValues> {
    const values = new Map(keys.map((key) => [key, randomUUID() as string]));
    const all = keys.some((key) => this.#isTag(key)) ? [this.any, ...keys] : keys;
    const marks = all.map((key) => this.#broken.get(key));
    try {
      if (all !== keys) await this.#write(new Map([[this.any, randomUUID()]]));
      await this.#write(values);
    } catch (error) {
      for (const key of all) this.#break(key);
      throw error;
    }
    for (const [index, key] of all.entries()) {
      if (this.#broken.get(key) === marks[index]) this.#broken.delete(key);
    }
    return values;
  }

  #trusted(key: string, raw: unknown): string | undefined {
    return typeof raw === "string" && !this.#broken.has(key) ? raw : undefined;
  }

  async #create(key: string): Promise<string> {
    if (this.#broken.has(key)) return (await this.move([key])).get(key) ?? "";
    const present = this.#creating.get(key);
    if (present !== undefined) return present;
    const value = randomUUID();
    const creating = this.#write(new Map([[key, value]])).then(() => value);
    this.#creating.set(key, creating);
    try {
      return await creating;
    } finally {
      this.#creating.delete(key);
    }
  }

  #write(values: FenceValues): Promise<void> {
    const expires = Number.isFinite(this.#lifetimeMs) ? Date.now() + this.#lifetimeMs : undefined;
    return this.#link.write(
      [...values].map(([key, value]) =>
        expires === undefined ? { key, value } : { key, value, expires },
      ),
    );
  }

  #break(key: string): void {
    const full = this.#broken.size >= maxBroken && !this.#broken.has(key);
    this.#broken.set(full ? this.everything : key, ++this.#failures);
  }

  #isTag(key: string): boolean {
    return key.startsWith(`${this.#prefix}t:`);
  }
}
