import type { Keyv } from "keyv";
import type { Codec } from "./codec.ts";
import { jsonCodec } from "./codec.ts";
import { StoreError } from "./errors.ts";
import { KeyvStore, isKeyv } from "./keyv-store.ts";
import type { Settings } from "./options.ts";
import type { FenceMirror, MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";
import { within } from "./timers.ts";

const failuresToOpen = 5;
const openMs = 1_000;

/**
 * The way to a shared store. Every call is answered within `storeTimeoutMs`; after five failures in a row, reads are let through
 * once a second.
 */
export class StoreLink {
  readonly #settings: Settings;
  readonly #store: SharedStore;
  readonly #codec: Codec;
  #failures = 0;
  #closedUntil = 0;

  constructor(settings: Settings, store: Keyv | SharedStore) {
    this.#settings = settings;
    if (isKeyv(store)) {
      const adapted = new KeyvStore(store);
      this.#store = adapted;
      this.#codec = adapted;
    } else {
      this.#store = store;
      this.#codec = jsonCodec;
    }
  }

  get mirror(): FenceMirror | undefined {
    return this.#store.mirror;
  }

  /** Whether events reach other processes. */
  get carriesEvents(): boolean {
    return this.#store.listen !== undefined;
  }

  listen(listener: (event: string) => unknown): Disposable | undefined {
    return this.#store.listen?.(listener);
  }

  /** Whether a read is worth trying. */
  admits(): boolean {
    if (this.#failures < failuresToOpen) return true;
    const now = this.#settings.now();
    if (now < this.#closedUntil) return false;
    this.#closedUntil = now + openMs;
    return true;
  }

  /** @throws StoreError */
  async read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const controller = new AbortController();
    try {
      return await this.#ask("read", () => this.#store.read(keys, controller.signal));
    } catch (error) {
      controller.abort(error);
      throw error;
    }
  }

  /** @throws StoreError when any one of the entries may not have been written. */
  async write(entries: readonly StoreWrite[]): Promise<void> {
    await this.#ask("write", () => this.#store.write(entries));
  }

  /** @throws StoreError when any one of the fences may not have moved. */
  async moveFences(
    keys: readonly string[],
    options: MoveOptions,
  ): Promise<ReadonlyMap<string, string>> {
    return this.#ask("write", () => this.#store.moveFences(keys, options));
  }

  /** Best effort: the entry is invalid either way. */
  async remove(key: string): Promise<void> {
    await this.#ask("delete", () => this.#store.remove(key)).catch(() => {});
  }

  /** @throws whatever the serializer throws. */
  async encode(value: unknown, expires: number | undefined): Promise<string> {
    return this.#codec.encode(value, expires);
  }

  /** `undefined` for what cannot be read. @throws whatever the serializer throws. */
  async decode(raw: string): Promise<unknown> {
    return this.#codec.decode(raw);
  }

  async #ask<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const { timers, storeTimeoutMs } = this.#settings;
    try {
      const answer = await within(
        call(),
        timers,
        storeTimeoutMs,
        () =>
          new StoreError(`no answer to a ${operation} within ${storeTimeoutMs} ms`, {
            reason: "timeout",
          }),
      );
      this.#failures = 0;
      return answer;
    } catch (error) {
      this.#count(error);
      if (error instanceof StoreError) throw error;
      throw new StoreError(`the store failed to ${operation}`, { cause: error });
    }
  }

  /** A store that turns one value down is well. */
  #count(error: unknown): void {
    if (error instanceof StoreError && error.reason === "too-large") return;
    if (++this.#failures >= failuresToOpen) this.#closedUntil = this.#settings.now() + openMs;
  }
}
