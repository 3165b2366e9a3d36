/** What somebody else threw, who may have thrown anything. */
export function textOf(value: unknown): string {
  try {
    return value instanceof Error ? value.message : String(value);
  } catch {
    return typeof value;
  }
}
