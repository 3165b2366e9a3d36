import type { Check } from "./checks.ts";
import { checkOptions, number, typed } from "./checks.ts";
import type { Fields } from "./mcp-shapes.ts";
import { fields } from "./mcp-shapes.ts";
import { frozenCopy } from "./plain-json.ts";
import { checkPolicies, tagsOrFunction } from "./tool-policy.ts";
import { isContentItem, withoutCallMeta } from "./tool-result.ts";

/** The results that clients may cache on protocol 2026-07-28, which are also those that a server may. */
export type CacheableMethod =
  | "tools/list"
  | "prompts/list"
  | "resources/list"
  | "resources/templates/list"
  | "resources/read"
  | "server/discover";

export interface ResultPolicy {
  /** One result for every principal. */
  readonly public?: boolean;
  /** How long a result is good for, from when the server began to make it. */
  readonly ttlMs?: number;
  /** A function gets the URI that is read, and `""` for the other methods. */
  readonly tags?: readonly string[] | ((uri: string) => readonly string[]);
  /** Which resources are cached; all when left out. */
  readonly matches?: (uri: string) => boolean;
}

/** What of its list or contents tells a result of the method from others; `undefined` for any object. */
const members: Readonly<Record<CacheableMethod, string | undefined>> = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates",
  "resources/read": "contents",
  "server/discover": undefined,
};

const checks: Readonly<Record<keyof ResultPolicy, Check>> = {
  public: typed("boolean"),
  ttlMs: number(1, 86_400_000),
  tags: tagsOrFunction,
  matches: typed("function"),
};

/** The methods alone; `checkPolicies` looks at what is said of each. */
const methodChecks: Readonly<Record<string, Check>> = Object.fromEntries(
  Object.keys(members).map((method) => [method, accept]),
);

function accept(): void {}

/** @throws CacheOptionError which names the method and the field. */
export function checkResultPolicies(option: string, results: unknown): void {
  checkPolicies(option, results, checks);
  checkOptions(results, methodChecks, `${option}.`);
}

/** A frozen copy for all; `undefined` when it asks for input, is malformed or not plain JSON. */
export function shareableOf(
  method: CacheableMethod,
  result: Fields,
  meta: object,
): Fields | undefined {
  const { resultType, inputRequests, ...rest } = result;
  if (inputRequests !== undefined || (resultType ?? "complete") !== "complete") return undefined;
  const member = members[method];
  const items: unknown = member === undefined ? [] : rest[member];
  if (!Array.isArray(items)) return undefined;
  if (method === "resources/read" && !items.every(isContentItem)) return undefined;
  return frozenCopy(withoutCallMeta(stringKeys(result), meta));
}

/** Without the SDK's own marks, which are symbols. */
function stringKeys(result: Fields): Fields {
  return fields(Object.fromEntries(Object.entries(result)));
}
