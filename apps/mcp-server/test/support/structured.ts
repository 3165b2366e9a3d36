import type { CallResult } from "./clients.ts";

/** The structured result of a call that must have one. */
export function structured<T = Record<string, unknown>>({
  structuredContent,
  content,
}: CallResult): T {
  if (structuredContent === undefined)
    throw new Error(`no structured result: ${JSON.stringify(content)}`);
  return structuredContent as T;
}
