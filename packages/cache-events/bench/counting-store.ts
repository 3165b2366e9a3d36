import type { KeyvStorageCapability, KeyvStorageEntry } from "keyv";
import { keyvStorageCapability } from "keyv";

/** A store in memory that counts the calls it gets and how many of them waited for another: the round trips of a remote store. */
export class CountingStore {
  /** Errors are none; Keyv wants to listen. */
  readonly on = (): this => this;
  calls = 0;
  trips = 0;
  readonly #data = new Map<string, unknown>();
  #tripOpen = false;

  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this);
  }

  get(key: string): Promise<unknown> {
    return this.call(() => this.#data.get(key));
  }

  getMany(keys: string[]): Promise<unknown[]> {
    return this.call(() => keys.map((key) => this.#data.get(key)));
  }

  set(key: string, value: unknown): Promise<boolean> {
    return this.call(() => this.#data.set(key, value) === this.#data);
  }

  setMany(entries: KeyvStorageEntry<unknown>[]): Promise<boolean[]> {
    return this.call(() =>
      entries.map(({ key, value }) => this.#data.set(key, value) === this.#data),
    );
  }

  delete(key: string): Promise<boolean> {
    return this.call(() => this.#data.delete(key));
  }

  deleteMany(keys: string[]): Promise<boolean[]> {
    return this.call(() => keys.map((key) => this.#data.delete(key)));
  }

  has(key: string): Promise<boolean> {
    return this.call(() => this.#data.has(key));
  }

  hasMany(keys: string[]): Promise<boolean[]> {
    return this.call(() => keys.map((key) => this.#data.has(key)));
  }

  clear(): Promise<void> {
    return this.call(() => this.#data.clear());
  }

  /** Answers after a turn of the event loop; calls of the same turn travel together. */
  async call<T>(act: () => T): Promise<T> {
    this.calls++;
    if (!this.#tripOpen) {
      this.#tripOpen = true;
      this.trips++;
      setImmediate(() => (this.#tripOpen = false));
    }
    const result = act();
    await new Promise((resolve) => setImmediate(resolve));
    return result;
  }
}
