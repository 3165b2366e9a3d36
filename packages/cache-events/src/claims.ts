import { CacheOptionError } from "./errors.ts";

/** Which caches answer for a server already: the same one twice would wait for itself. */
export class Claims {
  readonly #what: string;
  readonly #byServer = new WeakMap<object, Set<object>>();

  constructor(what: string) {
    this.#what = what;
  }

  /** @throws CacheOptionError when `cache` has claimed `server` and not released it. */
  check(server: object, cache: object): void {
    if (this.#byServer.get(server)?.has(cache) === true)
      throw new CacheOptionError(
        "server",
        `one whose ${this.#what} this cache does not cache yet`,
        server,
      );
  }

  /** The function returned releases it. */
  take(server: object, cache: object): () => void {
    const caches = this.#byServer.get(server) ?? new Set();
    this.#byServer.set(server, caches.add(cache));
    return () => caches.delete(cache);
  }
}
