import { isFence } from "../src/index.ts";
import type { FenceMirror, MoveOptions, SharedStore, StoreWrite } from "../src/index.ts";
import { FaultyStore } from "./faulty-store.ts";

interface Message {
  readonly seq: number;
  readonly fence: string;
}

/**
 * A shared store with a mirror in every client, over a store whose every access waits for `step()`. Its mirrors are either always
 * current, or fed by messages that arrive when `deliver()` says so and that can be lost. A lagging one learns nothing from the
 * writes of its own client.
 */
export class MirroredStore {
  readonly store: FaultyStore = new FaultyStore();
  readonly #strict: boolean;
  readonly #clients: Client[] = [];
  /** Of the last message. */
  seq = 0;
  #values = 0;

  constructor(kind: "strict" | "lagging") {
    this.#strict = kind === "strict";
  }

  client(): SharedStore {
    const client = new Client(this, this.#clients.length, this.#strict);
    this.#clients.push(client);
    return client;
  }

  nextValue(): string {
    return `v${++this.#values}`;
  }

  change(key: string, value: string | undefined): void {
    const { data } = this.store;
    if (value === undefined) data.delete(key);
    else data.set(key, value);
    if (!isFence(key)) return;
    const message = { seq: ++this.seq, fence: key };
    for (const client of this.#clients) client.inbox.push(message);
  }

  evict(index: number): void {
    const key = [...this.store.data.keys()].at(index);
    if (key !== undefined) this.change(key, undefined);
  }

  /** Whether there was a message. */
  deliver(at: number): boolean {
    return this.#clients[at]?.deliver() === true;
  }

  lose(at: number): void {
    this.#clients[at]?.lose();
  }

  /** The client notices that its link is down, or that it is up again. */
  link(at: number, up: boolean): void {
    this.#clients[at]?.link(up);
  }

  /** The last message that a client has taken in, with all before it. */
  knownTo(at: number): number {
    const client = this.#clients[at];
    return this.#strict || client === undefined ? this.seq : client.known;
  }
}

class Client implements SharedStore {
  readonly inbox: Message[] = [];
  readonly mirror: FenceMirror;
  readonly #shared: MirroredStore;
  readonly #id: number;
  readonly #known = new Map<string, string>();
  #lost: number | undefined;
  #up = true;
  #version = 1;

  constructor(shared: MirroredStore, id: number, strict: boolean) {
    this.#shared = shared;
    this.#id = id;
    this.mirror = strict
      ? { strict, version: () => shared.seq, valueOf: (fence) => this.#stored(fence) }
      : {
          strict,
          version: () => (this.#up ? this.#version : undefined),
          valueOf: (fence) => this.#known.get(fence),
        };
  }

  get known(): number {
    if (!this.#up) return this.#shared.seq;
    const waiting = this.inbox[0]?.seq ?? this.#shared.seq + 1;
    return Math.min(waiting, this.#lost ?? waiting) - 1;
  }

  deliver(): boolean {
    const message = this.inbox.shift();
    if (message === undefined) return false;
    this.#known.delete(message.fence);
    this.#version++;
    return true;
  }

  lose(): void {
    this.#lost ??= this.inbox.shift()?.seq;
  }

  /** While it is down the mirror still has what it last knew, which is not to be asked for. */
  link(up: boolean): void {
    this.#up = up;
    this.#lost = undefined;
    this.inbox.length = 0;
    if (!up) return;
    this.#known.clear();
    this.#version++;
  }

  read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return Promise.all(keys.map((key) => this.#access("get", key, () => this.#get(key))));
  }

  async write(entries: readonly StoreWrite[]): Promise<void> {
    await Promise.all(entries.map(({ key, value }) => this.#set(key, value)));
  }

  async remove(key: string): Promise<void> {
    await this.#access("delete", key, () => this.#shared.change(key, undefined));
  }

  async moveFences(
    keys: readonly string[],
    { first }: MoveOptions,
  ): Promise<ReadonlyMap<string, string>> {
    const values = new Map(keys.map((key) => [key, this.#shared.nextValue()]));
    for (const turn of [true, false]) {
      const now = keys.filter((key) => first.includes(key) === turn);
      await Promise.all(now.map((key) => this.#set(key, values.get(key) ?? "")));
    }
    return values;
  }

  /** What is read while news of it is on the way is too old to be kept. */
  #get(key: string): string | undefined {
    const value = this.#stored(key);
    const news = this.inbox.some(({ fence }) => fence === key);
    if (isFence(key) && value !== undefined && !news && this.#up) this.#known.set(key, value);
    return value;
  }

  async #set(key: string, value: string): Promise<void> {
    await this.#access("set", key, () => this.#shared.change(key, value));
  }

  #stored(key: string): string | undefined {
    return this.#shared.store.data.get(key) as string | undefined;
  }

  #access<T>(what: string, key: string, act: () => T): Promise<T> {
    return this.#shared.store.access(`${this.#id} ${what} ${key}`, act);
  }
}
