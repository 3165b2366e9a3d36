/** One write of `SharedStore.write`. */
export interface StoreWrite {
  readonly key: string;
  readonly value: string;
  /** Left out: does not expire. */
  readonly expiresInMs?: number;
}

export interface MoveOptions {
  /** Those of the fences that move before the others; they tell a compute under way that something moved. */
  readonly first: readonly string[];
  /** After this time a fence that nobody moved may go; what was computed under it goes with it. */
  readonly lifetimeMs: number;
  /** They were found absent: this invalidates nothing, so it need not outlive a loss of power, and what another process gave them meanwhile may stay. */
  readonly create?: boolean;
  /** Reaches the other processes in the same atomic step; a store without `listen` ignores it. */
  readonly event?: string;
}

/**
 * A store that several processes share. Every method rejects when the store fails or refuses; the caller adds the time-out and the
 * circuit breaker. A client must not repeat a write by itself after a later one succeeded: it would bring an old fence back.
 */
export interface SharedStore {
  /** In one round trip, in the order of `keys`; `undefined` for what is absent. Aborting the signal is a courtesy. */
  read(keys: readonly string[], signal?: AbortSignal): Promise<readonly (string | undefined)[]>;
  write(entries: readonly StoreWrite[]): Promise<void>;
  remove(key: string): Promise<void>;
  /**
   * Gives every fence of `keys` a value that it never had before, also not before the store lost its data; resolves with the new
   * values when every process would read them. `keys` may be empty when there is an event.
   */
  moveFences(keys: readonly string[], options: MoveOptions): Promise<ReadonlyMap<string, string>>;
  /** What is known of the fences without asking; left out by a store that has no such thing. */
  readonly mirror?: FenceMirror;
  /** Calls the listener with the events of other processes, as `moveFences` was given them; it may wait for the promise it gets. */
  readonly listen?: (listener: (event: string) => unknown) => Disposable;
  close?(): Promise<void>;
}

/**
 * The fences as this process knows them, synchronously. The store fills it from its own reads and writes; a value that it read must
 * not enter when news of that fence came after the read was sent. Never throws.
 */
export interface FenceMirror {
  /**
   * A number that grows with every change or loss; `undefined` while the mirror cannot be trusted: then every read asks the store.
   * What was checked at an equal number needs no other check.
   */
  version(): number | undefined;
  /** The fence's value if it is known to be current at `version()`. */
  valueOf(fence: string): string | undefined;
  /** Whether a hit by the mirror is as strict as asking the store; `false` when the mirror may lag behind it. */
  readonly strict: boolean;
}

/** Tells the keys of fences, `<cache>:f:…`, from those of entries, `<cache>:e:…`. */
export function isFence(key: string): boolean {
  return key.startsWith("f:", key.indexOf(":") + 1);
}
