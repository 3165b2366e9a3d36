import { checkOptions, checkTags, checkText } from "./checks.ts";
import { CacheOptionError } from "./errors.ts";

/** What to clear: the entries that match everything given, with any one of `tags`. */
export interface Selection {
  readonly tags?: readonly string[];
  readonly prefix?: string;
  readonly namespace?: string;
}

/** Instead of tags, an event: the tags are those of its rule. */
export interface EventSelection<E> extends Omit<Selection, "tags"> {
  readonly event: E;
}

const checks = {
  tags: (_name: string, value: unknown) => checkTags(value),
  event(name: string, value: unknown) {
    if (typeof value !== "object" || value === null || !("type" in value))
      throw new CacheOptionError(name, "an object with a type", value);
  },
  prefix: checkText,
  namespace(name: string, value: unknown) {
    if (typeof value !== "string") throw new CacheOptionError(name, "a string", value);
  },
};

export interface ResolvedSelection<E> extends Selection {
  readonly event?: E;
}

/** The criteria given, without those that are undefined; `undefined` for everything. @throws CacheOptionError */
export function resolveSelection<E>(
  selection: Selection | EventSelection<E> | undefined,
): ResolvedSelection<E> | undefined {
  if (selection === undefined) return undefined;
  checkOptions(selection, checks);
  const given = Object.entries(selection).filter(([, value]) => value !== undefined);
  if (given.length === 0)
    throw new CacheOptionError(
      "selection",
      "tags, event, prefix or namespace, or no argument",
      selection,
    );
  const resolved: ResolvedSelection<E> = Object.fromEntries(given);
  if (resolved.event !== undefined && resolved.tags !== undefined)
    throw new CacheOptionError("event", "undefined when there are tags", resolved.event);
  return resolved;
}
