import type { Check } from "./checks.ts";
import { checkOptions, number, typed } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";
import { isTags } from "./options.ts";

export interface ToolCachePolicy {
  /** Only such tools are cached. */
  readonly readOnly?: boolean;
  /** One result for every principal. */
  readonly public?: boolean;
  readonly ttlMs?: number;
  readonly tags?: readonly string[] | ((args: unknown) => readonly string[]);
  /**
   * What a tool that is not read-only invalidates, before it runs and after; `result` is undefined before it ran and when it
   * threw. Left out: everything cached for the server. `[]`: nothing.
   */
  readonly invalidates?:
    | readonly string[]
    | ((args: unknown, result: unknown) => readonly string[]);
}

export const tagsOrFunction: Check = (name, value) => {
  if (typeof value !== "function" && !isTags(value))
    throw new CacheOptionError(name, "an array of strings, or a function that returns one", value);
};

const checks: Readonly<Record<keyof ToolCachePolicy, Check>> = {
  readOnly: typed("boolean"),
  public: typed("boolean"),
  ttlMs: number(1, Infinity),
  tags: tagsOrFunction,
  invalidates: tagsOrFunction,
};

/** @throws CacheOptionError which names the tool and the field. */
export function checkToolPolicies(tools: unknown): void {
  checkPolicies("tools", tools, checks);
}

/** @throws CacheOptionError which names the entry of `option` and the field. */
export function checkPolicies(
  option: string,
  policies: unknown,
  table: Readonly<Record<string, Check>>,
): void {
  if (typeof policies !== "object" || policies === null || Array.isArray(policies))
    throw new CacheOptionError(option, "an object of policies", policies);
  for (const [name, policy] of Object.entries(policies)) {
    const path = `${option}.${name}`;
    if (typeof policy !== "object" || policy === null || Array.isArray(policy))
      throw new CacheOptionError(path, "an object", policy);
    checkOptions(policy, table, `${path}.`);
  }
}

/** `undefined` when the policy cannot tell: then nothing could invalidate the entry. */
export function tagsOf<A>(
  tags: readonly string[] | ((arg: A) => readonly string[]) | undefined,
  arg: A,
): readonly string[] | undefined {
  return tags === undefined ? [] : told(() => (typeof tags === "function" ? tags(arg) : tags));
}

/** `undefined` for everything: no policy, or one that cannot tell. */
export function invalidated(
  invalidates: ToolCachePolicy["invalidates"],
  args: unknown,
  result: unknown,
): readonly string[] | undefined {
  if (invalidates === undefined) return undefined;
  return told(() => (typeof invalidates === "function" ? invalidates(args, result) : invalidates));
}

function told(tell: () => readonly string[]): readonly string[] | undefined {
  try {
    const tags = tell();
    return isTags(tags) ? tags : undefined;
  } catch {
    return undefined;
  }
}
