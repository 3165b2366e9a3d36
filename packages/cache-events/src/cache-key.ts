declare const valueType: unique symbol;

/** A key that knows the type of its value, so that `get`, `peek`, `set` and `getOrSet` know it as well. It is a string. */
export type CacheKey<V> = string & { readonly [valueType]: (value: V) => V };

/** Any string that is not a `CacheKey`: for such keys the caller names the type. */
export type PlainKey = string & { readonly [valueType]?: never };

/**
 * `cacheKey<User>("user", id)`: the parts joined by ":", with ":" and "\" inside a part escaped by "\", so that different parts
 * never make the same key. `"user:"` is then a prefix of all users.
 */
export function cacheKey<V>(...parts: readonly (string | number | bigint)[]): CacheKey<V> {
  return parts
    .map((part) => String(part).replaceAll(/[\\:]/g, String.raw`\$&`))
    .join(":") as CacheKey<V>;
}
