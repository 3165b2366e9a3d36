import type { TagFence } from "./fence.ts";
import type { Compute } from "./flight.ts";
import type { GetOrSetOptions, SetOptions } from "./options.ts";
import type { Selection } from "./selection.ts";
import type { Space } from "./space.ts";

export interface Usage {
  readonly entries: number;
  readonly bytes: number;
  readonly tags: number;
  /** Keys evicted lately that the eviction policy remembers. */
  readonly ghosts: number;
  /** Refreshes under way that no reader waits for; none when left out. */
  readonly refreshes?: number;
}

/** How entries are kept and fenced: in this process alone, or in a store that several processes share. */
export type SetEntry = readonly [key: string, value: unknown, options: SetOptions];

export interface Engine {
  /** Whether events of this process reach others. */
  readonly carriesEvents: boolean;
  listen(listener: (event: string) => unknown): Disposable | undefined;
  spaces(): Iterable<Space>;
  usage(): Usage;
  /** The tags held in memory; none when left out. */
  tags?(): Iterable<TagFence>;
  /** @throws CacheOptionError for a key that this engine cannot hold. */
  checkKey(key: unknown, namespace: unknown): void;
  peek(key: string, namespace: string | undefined): unknown;
  get(key: string, namespace: string | undefined): Promise<unknown>;
  getOrSet(
    key: string,
    compute: Compute<unknown>,
    options: GetOrSetOptions | undefined,
  ): Promise<unknown>;
  set(key: string, value: unknown, options: SetOptions | undefined): Promise<void>;
  /** Left out where it would be no more than `set` for each. */
  setMany?(entries: readonly SetEntry[]): Promise<void>;
  delete(key: string, namespace: string | undefined): Promise<void>;
  /** `event` is what the other processes learn of it, where the store carries events. */
  invalidate(tags: readonly string[], event?: string): Promise<void>;
  clear(selection: Selection | undefined): Promise<void>;
  /** What the calls made by `run` ask of a store goes there together; left out where nothing is asked. */
  together?<T>(run: () => T): T;
  close(): void;
}
