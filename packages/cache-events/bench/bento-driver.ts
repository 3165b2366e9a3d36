import type { L2CacheDriver } from "bentocache/types";
import type { CountingStore } from "./counting-store.ts";

/** bentocache's shared tier on the counting store. */
export class BentoDriver implements L2CacheDriver {
  readonly type = "l2";
  readonly #store: CountingStore;
  readonly #prefix: string;

  constructor(store: CountingStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  namespace(name: string): L2CacheDriver {
    return new BentoDriver(this.#store, `${this.#prefix}${name}:`);
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.#store.get(this.#prefix + name)) as string | undefined;
  }

  async pull(name: string): Promise<string | undefined> {
    const value = await this.get(name);
    await this.delete(name);
    return value;
  }

  set(name: string, value: string): Promise<boolean> {
    return this.#store.set(this.#prefix + name, value);
  }

  clear(): Promise<void> {
    return this.#store.clear();
  }

  delete(name: string): Promise<boolean> {
    return this.#store.delete(this.#prefix + name);
  }

  async deleteMany(names: string[]): Promise<boolean> {
    await this.#store.deleteMany(names.map((name) => this.#prefix + name));
    return true;
  }

  async disconnect(): Promise<void> {}
}
