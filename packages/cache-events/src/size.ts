const maxObjects = 100_000;

/**
 * An estimate of what `value` occupies, in bytes, on the safe side (two bytes a character). `Infinity` for a value of more than
 * 100,000 objects: it is more likely a living object graph than a result, and counting it on would stall the process.
 */
export function estimateBytes(value: unknown): number {
  const seen = new Set<object>();
  const pending: unknown[] = [value];
  let bytes = 0;
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== "object" || next === null) {
      bytes += primitiveBytes(next);
    } else if (!seen.has(next)) {
      seen.add(next);
      if (seen.size > maxObjects) return Infinity;
      bytes += objectBytes(next, pending);
    }
  }
  return bytes;
}

function primitiveBytes(value: unknown): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value === "bigint") return 16 + value.toString(16).length / 2;
  return typeof value === "function" ? 64 : 8;
}

function objectBytes(value: object, pending: unknown[]): number {
  if (ArrayBuffer.isView(value)) return 96 + value.byteLength;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
    return 96 + value.byteLength;
  if (value instanceof Map) {
    for (const [key, item] of value) pending.push(key, item);
    return 48 + 32 * value.size;
  }
  if (value instanceof Set) {
    for (const item of value) pending.push(item);
    return 48 + 24 * value.size;
  }
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const item of items) pending.push(item);
  return 32 + 16 * items.length;
}
