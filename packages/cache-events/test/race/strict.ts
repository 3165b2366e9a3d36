import { EventEmitter } from "node:events";
import { EventCache } from "@mcp-accel/cache-events";
import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { eventCacheUnderTest } from "@mcp-accel/cache-events/testing";
import type { KeyvStorageCapability, KeyvStorageEntry } from "keyv";
import { Keyv, keyvStorageCapability } from "keyv";

const features = ["namespaces", "lateTags", "signal", "staleWhileRevalidate"] as const;

type Shared = Map<string, unknown>;
type Turn = () => Promise<void>;

const stores = new Map<string, Shared>();
/** Shares of what may happen to the store: a lost call, a call whose answer is lost, and otherwise an eviction. */
const lost = 0.25;
const unanswered = 0.5;

/** Several caches in strict mode on one store that evicts, fails, and does every access to a key when its turn comes. */
export function open({ name, now, random, ttlMs, staleMs, turn }: OpenContext): CacheUnderTest {
  const data = stores.get(name) ?? new Map<string, unknown>();
  stores.set(name, data);
  const client = new Client(data, turn);
  const keyv = new Keyv({ store: client });
  keyv.on("error", () => {});
  const stale = { staleWhileRevalidateMs: staleMs, staleIfErrorMs: staleMs };
  const cache = new EventCache({ name, now, random, ttlMs, ...stale, store: keyv });
  return {
    ...eventCacheUnderTest(cache, { prefixes: false, features }),
    disturb() {
      const what = random();
      if (what < lost) client.faults.push("lost");
      else if (what < unanswered) client.faults.push("unanswered");
      else data.delete([...data.keys()][Math.floor(random() * data.size)] ?? "");
    },
    async close() {
      await cache.close();
      stores.delete(name);
    },
  };
}

class Client extends EventEmitter {
  readonly faults: ("lost" | "unanswered")[] = [];
  readonly #data: Shared;
  readonly #turn: Turn;

  constructor(data: Shared, turn: Turn) {
    super();
    this.#data = data;
    this.#turn = turn;
  }

  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this);
  }

  get<T>(key: string): Promise<T | undefined> {
    return this.#access(() => this.#data.get(key) as T | undefined);
  }

  getMany<T>(keys: string[]): Promise<(T | undefined)[]> {
    return Promise.all(keys.map((key) => this.get<T>(key)));
  }

  set(key: string, value: unknown): Promise<boolean> {
    return this.#access(() => {
      this.#data.set(key, value);
      return true;
    });
  }

  setMany<T>(entries: KeyvStorageEntry<T>[]): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value }) => this.set(key, value)));
  }

  delete(key: string): Promise<boolean> {
    return this.#access(() => this.#data.delete(key));
  }

  deleteMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.delete(key)));
  }

  has(key: string): Promise<boolean> {
    return this.#access(() => this.#data.has(key));
  }

  hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)));
  }

  clear(): Promise<void> {
    return this.#access(() => this.#data.clear());
  }

  async #access<T>(act: () => T): Promise<T> {
    await this.#turn();
    const fault = this.faults.shift();
    if (fault === "lost") throw new Error("connection lost");
    const answer = act();
    await this.#turn();
    if (fault === "unanswered") throw new Error("no answer");
    return answer;
  }
}
