import { isFence } from "./shared-store.ts";

/**
 * The names of keys in Redis. Fences have a prefix of their own, so that tracking by prefix tells of them alone. A text that UTF-8
 * cannot hold is escaped: two keys must not become one.
 */
export class RedisKeys {
  readonly fences: string;
  readonly events: string;
  readonly #entries: string;

  constructor(prefix: string) {
    this.fences = `${prefix}f:`;
    this.#entries = `${prefix}e:`;
    this.events = `${prefix}events`;
  }

  of(key: string): string {
    return (isFence(key) ? this.fences : this.#entries) + encode(key);
  }

  /** The fence behind a name in Redis; `undefined` for any other name. */
  fenceOf(name: string): string | undefined {
    if (!name.startsWith(this.fences)) return undefined;
    const text = name.slice(this.fences.length);
    if (!text.startsWith('"')) return text;
    try {
      return String(JSON.parse(text));
    } catch {
      return undefined;
    }
  }
}

/** No key of a cache begins with a quotation mark: it begins with the cache's name. */
function encode(key: string): string {
  return key.isWellFormed() ? key : JSON.stringify(key);
}
