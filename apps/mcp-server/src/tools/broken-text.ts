import type { z } from "zod";

const message = "expected well-formed Unicode, got half of a surrogate pair";
/** The first keys of a path are enough to find the text by. */
const MAX_PATH = 10;

interface Part {
  readonly value: unknown;
  readonly key: string;
  readonly parent: Part | undefined;
}

/**
 * Refuses the first text in `value` that is not well-formed. UTF-8 has no lone surrogates: SQLite would store another text than
 * the one that was acknowledged. Arguments may be nested to any depth, so it keeps its own stack.
 */
export function refuseBrokenText(value: unknown, context: z.RefinementCtx): void {
  const pending: Part[] = [{ value, key: "", parent: undefined }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const part = next;
    if (typeof part.value === "string" && !part.value.isWellFormed())
      return context.addIssue({ code: "custom", message, path: pathOf(part) });
    if (typeof part.value !== "object" || part.value === null) continue;
    for (const [key, child] of Object.entries(part.value).toReversed())
      if (typeof child === "string" || typeof child === "object")
        pending.push({ value: child, key, parent: part });
  }
}

function pathOf(part: Part): string[] {
  const keys: string[] = [];
  for (let at = part; at.parent !== undefined; at = at.parent) keys.push(at.key);
  return keys.toReversed().slice(0, MAX_PATH);
}
