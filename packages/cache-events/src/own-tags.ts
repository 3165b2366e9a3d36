const prefix = "~mcp:";

/** A tag by which an adapter invalidates what it stored itself. */
export function ownTag(...of: readonly string[]): string {
  return prefix + JSON.stringify(of);
}

export function isOwnTag(tag: string): boolean {
  return tag.startsWith(prefix);
}
