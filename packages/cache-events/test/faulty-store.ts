import { EventEmitter } from "eventemitter3";
import type { KeyvStorageCapability, KeyvStorageEntry } from "keyv";
import { Keyv, keyvStorageCapability } from "keyv";
import { settle } from "./support.ts";

export type Fault = "none" | "lost" | "unanswered";

/** A store shared by several clients whose every access to a key waits for `step()`, in any order, and can be made to fail. */
export class FaultyStore {
  readonly data: Map<string, unknown> = new Map();
  /** While set, calls take effect at once. */
  immediate = false;
  /** While set, every access fails before it took effect. */
  down = false;
  /** Calls for one or more keys, by what they do. */
  readonly calls: string[] = [];
  #clients = 0;
  #faults: Fault[] = [];
  readonly #pending: { readonly label: string; readonly run: () => void }[] = [];

  /** What waits: client, access and key, as in `0 set default:f:any`. */
  get pending(): readonly string[] {
    return this.#pending.map(({ label }) => label);
  }

  client(): Keyv {
    const keyv = new Keyv({ store: new Client(this, this.#clients++) });
    keyv.on("error", () => {});
    return keyv;
  }

  /** Lets one access happen, or fail before it took effect ("lost") or after ("unanswered"). */
  step(index: number): void {
    this.#pending.splice(index % Math.max(1, this.#pending.length), 1)[0]?.run();
  }

  /** Lets the accesses happen whose label matches, and those that follow from them. */
  async run(label: RegExp): Promise<void> {
    await settle();
    for (;;) {
      const next = this.#pending.findIndex((access) => label.test(access.label));
      if (next < 0) return;
      this.step(next);
      await settle();
    }
  }

  fail(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  access<T>(label: string, act: () => T): Promise<T> {
    const fault = this.#faults.shift() ?? "none";
    return new Promise((resolve, reject) => {
      const run = (): void => {
        if (fault === "lost" || this.down) return reject(new Error("connection lost"));
        const result = act();
        if (fault === "unanswered") reject(new Error("no answer"));
        else resolve(result);
      };
      if (this.immediate) run();
      else this.#pending.push({ label, run });
    });
  }
}

class Client extends EventEmitter {
  readonly #store: FaultyStore;
  readonly #id: number;

  constructor(store: FaultyStore, id: number) {
    super();
    this.#store = store;
    this.#id = id;
  }

  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this);
  }

  async get(key: string): Promise<unknown> {
    return this.#store.access(`${this.#id} get ${key}`, () => this.#store.data.get(key));
  }

  async getMany(keys: string[]): Promise<unknown[]> {
    this.#store.calls.push(`getMany ${keys.length}`);
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async set(key: string, value: unknown): Promise<boolean> {
    return this.#store.access(`${this.#id} set ${key}`, () => {
      this.#store.data.set(key, value);
      return true;
    });
  }

  async setMany(entries: KeyvStorageEntry<unknown>[]): Promise<boolean[]> {
    this.#store.calls.push(`setMany ${entries.length}`);
    return Promise.all(entries.map(({ key, value }) => this.set(key, value)));
  }

  async delete(key: string): Promise<boolean> {
    return this.#store.access(`${this.#id} delete ${key}`, () => this.#store.data.delete(key));
  }

  async deleteMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.delete(key)));
  }

  async clear(): Promise<void> {
    this.#store.data.clear();
  }

  async has(key: string): Promise<boolean> {
    return this.#store.data.has(key);
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return keys.map((key) => this.#store.data.has(key));
  }
}
