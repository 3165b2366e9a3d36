import { CacheOptionError } from "./errors.ts";
import type { GetOrSetOptions, SetOptions } from "./options.ts";
import { maxDelayMs } from "./timers.ts";

export type Check = (name: string, value: unknown) => void;

/** @throws CacheOptionError */
export function checkOptions(
  options: unknown,
  table: Readonly<Record<string, Check>>,
  path = "",
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new CacheOptionError(`${path}options`, "an object", options);
  const values = options as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(options)) {
    const value = values[name];
    const check = Object.hasOwn(table, name) ? table[name] : undefined;
    if (check === undefined) {
      const known = `one of ${Object.keys(table).join(", ")}`;
      throw new CacheOptionError(path + name, known, "another option");
    }
    if (value !== undefined) check(path + name, value);
  }
}

export function integer(least: number, most: number): Check {
  return (name, value) => {
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
      throw new CacheOptionError(name, `an integer from ${least} to ${most}`, value);
  };
}

export function number(least: number, most: number): Check {
  return (name, value) => {
    if (typeof value !== "number" || !(value >= least && value <= most))
      throw new CacheOptionError(name, `a number from ${least} to ${most}`, value);
  };
}

export function typed(type: "function" | "boolean"): Check {
  return (name, value) => {
    if (typeof value !== type) throw new CacheOptionError(name, `a ${type}`, value);
  };
}

export const checkFunction: Check = typed("function");

export function oneOf(...values: readonly string[]): Check {
  return (name, value) => {
    if (!values.includes(value as string))
      throw new CacheOptionError(name, values.map((one) => `"${one}"`).join(" or "), value);
  };
}

type Shape = readonly [what: string, ...methods: string[]];

export function having(...shape: Shape): Check {
  return havingEither(shape);
}

export function havingEither(...shapes: readonly Shape[]): Check {
  return (name, value) => {
    const holder = Object(value) as Readonly<Record<string, unknown>>;
    const fits = ([, ...methods]: Shape): boolean =>
      methods.every((method) => typeof holder[method] === "function");
    if (!shapes.some(fits))
      throw new CacheOptionError(name, shapes.map(inWords).join(", or "), value);
  };
}

export function record(of: string, accepts: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new CacheOptionError(name, `an object of ${of}`, value);
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined && !accepts(item))
        throw new CacheOptionError(`${name}.${key}`, `one of the ${of}`, item);
    }
  };
}

/** @throws CacheOptionError */
export function checkName(name: string, value: unknown): void {
  if (typeof value !== "string" || !/^[\w.-]{1,64}$/.test(value))
    throw new CacheOptionError(name, "1 to 64 letters, digits, '_', '.' or '-'", value);
}

/** @throws CacheOptionError */
export function checkText(name: string, value: unknown): void {
  if (typeof value !== "string" || value === "")
    throw new CacheOptionError(name, "a string that is not empty", value);
}

/** @throws CacheOptionError */
export function checkTags(value: unknown): void {
  if (!Array.isArray(value)) throw new CacheOptionError("tags", "an array of strings", value);
  for (const tag of value) checkText("tags", tag);
}

/** @throws CacheOptionError */
export function checkKey(key: unknown, namespace: unknown): void {
  checkText("key", key);
  if (namespace !== undefined && typeof namespace !== "string")
    throw new CacheOptionError("namespace", "a string", namespace);
}

type FreshnessOption =
  | "ttlMs"
  | "staleWhileRevalidateMs"
  | "staleIfErrorMs"
  | "eagerRefreshRatio"
  | "negativeTtlMs"
  | "negativeErrors"
  | "softTimeoutMs"
  | "loadTimeoutMs";

/** Of the cache and of a call alike. */
export const freshnessChecks: Readonly<Record<FreshnessOption, Check>> = {
  ttlMs: number(1, Infinity),
  staleWhileRevalidateMs: number(0, Infinity),
  staleIfErrorMs: number(0, Infinity),
  eagerRefreshRatio: number(0.1, 1),
  negativeTtlMs: number(0, Infinity),
  negativeErrors: typed("function"),
  softTimeoutMs: number(1, maxDelayMs),
  loadTimeoutMs: number(1, maxDelayMs),
};

const setChecks: Readonly<Record<keyof SetOptions, Check>> = {
  namespace: () => {},
  tags: (_name, value) => checkTags(value),
  ttlMs: freshnessChecks.ttlMs,
};

const accessChecks: Readonly<Record<keyof GetOrSetOptions, Check>> = {
  ...setChecks,
  ...freshnessChecks,
  signal(name, value) {
    if (!(value instanceof AbortSignal)) throw new CacheOptionError(name, "an AbortSignal", value);
  },
};

/** @throws CacheOptionError */
export function checkAccess(key: unknown, options: GetOrSetOptions | undefined): void {
  checkKey(key, options?.namespace);
  if (options !== undefined) checkOptions(options, accessChecks);
}

/** @throws CacheOptionError */
export function checkSet(key: unknown, value: unknown, options: SetOptions | undefined): void {
  checkKey(key, options?.namespace);
  if (options !== undefined) checkOptions(options, setChecks);
  checkValue(value);
}

/** `checkKey` where there is a store: in UTF-8 all lone surrogates are one, and so would be the keys. @throws CacheOptionError */
export function checkStoreKey(key: unknown, namespace: unknown): void {
  checkKey(key, namespace);
  for (const [name, text] of Object.entries({ key, namespace })) {
    if (typeof text === "string" && !text.isWellFormed())
      throw new CacheOptionError(name, "no lone surrogates when there is a store", text);
  }
}

/** `checkAccess` where there is a store. @throws CacheOptionError */
export function checkStoreAccess(key: unknown, options: GetOrSetOptions | undefined): void {
  checkStoreKey(key, options?.namespace);
  checkAccess(key, options);
}

/** @throws CacheOptionError */
export function checkValue(value: unknown): void {
  if (value === undefined || value instanceof Promise)
    throw new CacheOptionError("value", "a settled value other than undefined", value);
}

function inWords([what, ...methods]: Shape): string {
  return `${what} with ${methods.join("(), ")}()`;
}
