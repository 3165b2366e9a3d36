import { randomUUID } from "node:crypto";
import type { Keyv } from "keyv";
import type { Codec } from "./codec.ts";
import { StoreError } from "./errors.ts";
import type { MoveOptions, SharedStore, StoreWrite } from "./shared-store.ts";

/**
 * A Keyv's adapter, asked directly: Keyv itself turns failures into misses. Values go through as Keyv's serializer made them, which
 * are strings unless it was switched off.
 */
export class KeyvStore implements SharedStore, Codec {
  readonly #keyv: Keyv;

  constructor(keyv: Keyv) {
    this.#keyv = keyv;
  }

  async read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const { store } = this.#keyv;
    const found: unknown[] =
      typeof store.getMany === "function"
        ? await store.getMany([...keys])
        : await Promise.all(keys.map((key) => store.get(key)));
    return keys.map((_key, index) => (found[index] ?? undefined) as string | undefined);
  }

  async write(entries: readonly StoreWrite[]): Promise<void> {
    const { store } = this.#keyv;
    const items = entries.map(({ key, value, expiresInMs }) =>
      expiresInMs === undefined
        ? { key, value }
        : { key, value, expires: Math.ceil(Date.now() + expiresInMs) },
    );
    const written =
      typeof store.setMany === "function"
        ? await store.setMany(items)
        : await Promise.all(items.map(({ key, value, expires }) => store.set(key, value, expires)));
    if (Array.isArray(written) && written.includes(false))
      throw new StoreError("the store refused a write");
  }

  /** Best effort: a failed delete and a missing key look the same to Keyv. */
  async remove(key: string): Promise<void> {
    await this.#keyv.store.delete(key);
  }

  async moveFences(
    keys: readonly string[],
    { first, lifetimeMs }: MoveOptions,
  ): Promise<ReadonlyMap<string, string>> {
    const values = new Map(keys.map((key) => [key, randomUUID() as string]));
    const expiry = Number.isFinite(lifetimeMs) ? { expiresInMs: lifetimeMs } : {};
    const items = [...values].map(([key, value]) => ({ key, value, ...expiry }));
    const ahead = items.filter(({ key }) => first.includes(key));
    if (ahead.length > 0) await this.write(ahead);
    if (ahead.length < items.length)
      await this.write(items.filter((item) => !ahead.includes(item)));
    return values;
  }

  async encode(value: unknown, expires: number | undefined): Promise<string> {
    const encoded = await this.#keyv.encode(expires === undefined ? { value } : { value, expires });
    return encoded as string;
  }

  async decode(raw: string): Promise<unknown> {
    return (await this.#keyv.decode(raw))?.value;
  }
}

export function isKeyv(store: Keyv | SharedStore): store is Keyv {
  return "encode" in store && "decode" in store && !("moveFences" in store);
}
