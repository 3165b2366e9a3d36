const maxObjects = 100_000;

/**
 * An estimate of what `value` occupies, in bytes, on the safe side (two bytes a character). `Infinity` for a value of more than
 * 100,000 objects: it is more likely a living object graph than a result, and counting it on would stall the process.
 */
export function estimateBytes(value: unknown): number {
  if (!isObject(value)) return primitiveBytes(value);
  const pending: object[] = [];
  let bytes = objectBytes(value, pending);
  if (pending.length === 0) return bytes;
  // Only a graph has to remember where it has been; most results are flat.
  const seen = new Set([value]);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    if (seen.size > maxObjects) return Infinity;
    bytes += objectBytes(next, pending);
  }
  return bytes;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function primitiveBytes(value: unknown): number {
  if (typeof value === "string") return 16 + 2 * value.length;
  if (typeof value === "bigint") return 16 + value.toString(16).length / 2;
  return typeof value === "function" ? 64 : 8;
}

/** The bytes of `value` with those of its items that are no objects; the others are left in `pending`. */
function objectBytes(value: object, pending: object[]): number {
  if (ArrayBuffer.isView(value)) return 96 + value.byteLength;
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
    return 96 + value.byteLength;
  if (value instanceof Map) {
    let bytes = 48 + 32 * value.size;
    for (const pair of value) bytes += itemBytes(pair, pending);
    return bytes;
  }
  if (value instanceof Set) return 48 + 24 * value.size + itemBytes(value, pending);
  const items: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return 32 + 16 * items.length + itemBytes(items, pending);
}

function itemBytes(items: Iterable<unknown>, pending: object[]): number {
  let bytes = 0;
  for (const item of items) {
    if (isObject(item)) pending.push(item);
    else bytes += primitiveBytes(item);
  }
  return bytes;
}
