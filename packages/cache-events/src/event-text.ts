/** An event as it travels between the processes of one cache; several caches may share a store. */
export function writeEvent(event: unknown, cache: string): string {
  return JSON.stringify([cache, event]);
}

/** `undefined` for what is no event of this cache. */
export function readEvent(text: string, cache: string): { readonly type: string } | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed) || parsed[0] !== cache) return undefined;
  const event: unknown = parsed[1];
  return isEvent(event) ? event : undefined;
}

function isEvent(value: unknown): value is { readonly type: string } {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
  );
}
