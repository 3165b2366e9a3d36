import type { Keyv, KeyvStorageEntry } from "keyv";
import { StoreError } from "./errors.ts";
import type { Settings } from "./options.ts";
import { within } from "./timers.ts";

const failuresToOpen = 5;
const openMs = 1_000;

/**
 * A Keyv's adapter, asked directly: Keyv itself turns failures into misses. Every call is answered within `storeTimeoutMs`; after
 * five failures in a row, reads are let through once a second.
 */
export class StoreLink {
  readonly #settings: Settings;
  readonly #keyv: Keyv;
  #failures = 0;
  #closedUntil = 0;

  constructor(settings: Settings, keyv: Keyv) {
    this.#settings = settings;
    this.#keyv = keyv;
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
  async read(keys: readonly string[]): Promise<readonly unknown[]> {
    const { store } = this.#keyv;
    return this.#ask("read", async () => {
      const found: unknown[] =
        typeof store.getMany === "function"
          ? await store.getMany([...keys])
          : await Promise.all(keys.map((key) => store.get(key)));
      return keys.map((_key, index) => found[index] ?? undefined);
    });
  }

  /** @throws StoreError when any one of the entries may not have been written. */
  async write(entries: readonly KeyvStorageEntry<unknown>[]): Promise<void> {
    const { store } = this.#keyv;
    await this.#ask("write", async () => {
      const written =
        typeof store.setMany === "function"
          ? await store.setMany([...entries])
          : await Promise.all(
              entries.map(({ key, value, expires }) => store.set(key, value, expires)),
            );
      if (Array.isArray(written) && written.includes(false))
        throw new StoreError("the store refused a write");
    });
  }

  /** Best effort: a failed delete and a missing key look the same to Keyv. */
  async delete(key: string): Promise<void> {
    await this.#ask("delete", () => this.#keyv.store.delete(key)).catch(() => {});
  }

  /** @throws whatever the serializer throws. */
  async encode(value: unknown, expires: number | undefined): Promise<unknown> {
    return this.#keyv.encode(expires === undefined ? { value } : { value, expires });
  }

  /** `undefined` for what cannot be read. */
  async decode(raw: unknown): Promise<unknown> {
    return (await this.#keyv.decode(raw))?.value;
  }

  async #ask<T>(operation: string, call: () => Promise<T>): Promise<T> {
    const { timers, storeTimeoutMs } = this.#settings;
    try {
      const answer = await within(
        call(),
        timers,
        storeTimeoutMs,
        () => new StoreError(`no answer to a ${operation} within ${storeTimeoutMs} ms`),
      );
      this.#failures = 0;
      return answer;
    } catch (error) {
      if (++this.#failures >= failuresToOpen) this.#closedUntil = this.#settings.now() + openMs;
      if (error instanceof StoreError) throw error;
      throw new StoreError(`the store failed to ${operation}`, { cause: error });
    }
  }
}
