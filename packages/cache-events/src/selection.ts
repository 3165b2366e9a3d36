import { checkOptions, checkTags, checkText } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";

/** What to clear: the entries that match everything given, with any one of `tags`. */
export interface Selection {
  readonly tags?: readonly string[];
  readonly prefix?: string;
  readonly namespace?: string;
}

const checks = {
  tags: (_name: string, value: unknown) => checkTags(value),
  prefix: checkText,
  namespace(name: string, value: unknown) {
    if (typeof value !== "string") throw new CacheOptionError(name, "a string", value);
  },
};

/** The criteria given, without those that are undefined; `undefined` for everything. @throws CacheOptionError */
export function resolveSelection(selection: Selection | undefined): Selection | undefined {
  if (selection === undefined) return undefined;
  checkOptions(selection, checks);
  const given = Object.entries(selection).filter(([, value]) => value !== undefined);
  if (given.length === 0)
    throw new CacheOptionError("selection", "tags, prefix or namespace, or no argument", selection);
  return Object.fromEntries(given);
}
