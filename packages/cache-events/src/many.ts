import { Batch } from "./batch.ts";
import type { ComputeMany } from "./batch.ts";
import { checkSet, checkTags, checkText, typed } from "./checks.ts";
import type { Engine } from "./engine.ts";
import { CacheOptionError } from "./errors.ts";
import type {
  GetOrSetManyOptions,
  GetOrSetOptions,
  KeyOptions,
  SetManyOptions,
} from "./options.ts";

/** Keys that one call may name. */
export const maxKeys = 10_000;

/** One `computeMany` for all the keys that have to be computed. @throws CacheOptionError, before anything is computed */
export async function getOrSetMany<K extends string>(
  engine: Engine,
  keys: readonly K[],
  computeMany: ComputeMany<K, unknown>,
  options: GetOrSetManyOptions<K> = {},
): Promise<unknown[]> {
  checkKeys(engine, keys, options.namespace);
  typed("function")("computeMany", computeMany);
  options.signal?.throwIfAborted();
  const optionsOf = perKey(options);
  const plans = new Map(keys.map((key) => [key, optionsOf(key)]));
  const batch = new Batch<K>(computeMany);
  const reads = new Map<K, Promise<unknown>>();
  together(engine, () => {
    for (const [key, plan] of plans)
      reads.set(
        key,
        engine.getOrSet(key, (context) => batch.add(key, context), plan),
      );
  });
  batch.flush();
  return Promise.all(keys.map((key) => reads.get(key) ?? Promise.resolve()));
}

export async function getMany(
  engine: Engine,
  keys: readonly string[],
  options: KeyOptions | undefined,
): Promise<unknown[]> {
  checkKeys(engine, keys, options?.namespace);
  const reads = together(engine, () => keys.map((key) => engine.get(key, options?.namespace)));
  return Promise.all(reads);
}

/** The entries are checked before the first one is stored. */
export async function setMany<K extends string>(
  engine: Engine,
  entries: Iterable<readonly [K, unknown]>,
  options: SetManyOptions<K> = {},
): Promise<void> {
  const values = new Map(entries);
  checkKeys(engine, [...values.keys()], options.namespace);
  const optionsOf = perKey(options);
  const plans = [...values].map(([key, value]) => [key, value, optionsOf(key)] as const);
  for (const plan of plans) checkSet(...plan);
  if (engine.setMany !== undefined) return engine.setMany(plans);
  await Promise.all(plans.map(([key, value, plan]) => engine.set(key, value, plan)));
}

function together<T>(engine: Engine, run: () => T): T {
  return engine.together === undefined ? run() : engine.together(run);
}

function checkKeys(engine: Engine, keys: unknown, namespace: unknown): void {
  if (!Array.isArray(keys) || keys.length > maxKeys)
    throw new CacheOptionError("keys", `an array of at most ${maxKeys} keys`, keys);
  for (const key of keys) {
    checkText("keys", key);
    engine.checkKey(key, namespace);
  }
}

/** `tags` may depend on the key. */
function perKey<K extends string, O extends { readonly tags?: unknown }>(
  options: O,
): (key: K) => Omit<O, "tags"> & Pick<GetOrSetOptions, "tags"> {
  const { tags, ...rest } = options;
  return (key) => {
    if (tags === undefined) return rest;
    const own: unknown = typeof tags === "function" ? tags(key) : tags;
    checkTags(own);
    return { ...rest, tags: own as readonly string[] };
  };
}
