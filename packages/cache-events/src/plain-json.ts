const maxDepth = 64;
const maxValues = 100_000;

/** `value` as JSON with sorted keys, equal for equal values; `undefined` when it is not plain JSON or longer than `maxChars`. */
export function canonicalJson(value: unknown, maxChars: number): string | undefined {
  const writer = new Writer(maxChars);
  return writer.write(value, 0) ? writer.text : undefined;
}

/** A frozen copy that shares nothing with `value`; `undefined` when it is not plain JSON, or of more than 100,000 values. */
export function frozenCopy<T extends object>(value: T): T | undefined {
  try {
    return new Copier().copy(value, 0) as T;
  } catch (error) {
    if (error === notPlain) return undefined;
    throw error;
  }
}

class Writer {
  text = "";
  readonly #maxChars: number;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  write(value: unknown, depth: number): boolean {
    if (isPlainLeaf(value))
      return this.#append(Object.is(value, -0) ? "-0" : JSON.stringify(value));
    if (depth >= maxDepth) return false;
    if (Array.isArray(value)) return this.#writeArray(value, depth);
    return isPlainObject(value) && this.#writeObject(value, depth);
  }

  #writeArray(items: readonly unknown[], depth: number): boolean {
    for (let index = 0; index < items.length; index++) {
      if (!this.#append(index === 0 ? "[" : ",") || !this.write(items[index], depth + 1))
        return false;
    }
    return this.#append(items.length === 0 ? "[]" : "]");
  }

  /** A property that is undefined counts as left out, as in JSON. */
  #writeObject(record: Readonly<Record<string, unknown>>, depth: number): boolean {
    let open = "{";
    for (const key of Object.keys(record).toSorted()) {
      const value = record[key];
      if (value === undefined) continue;
      if (!this.#append(`${open}${JSON.stringify(key)}:`) || !this.write(value, depth + 1))
        return false;
      open = ",";
    }
    return this.#append(open === "{" ? "{}" : "}");
  }

  #append(part: string): boolean {
    this.text += part;
    return this.text.length <= this.#maxChars;
  }
}

const notPlain: unique symbol = Symbol("not plain JSON");

class Copier {
  #values = 0;

  copy(value: unknown, depth: number): unknown {
    if (++this.#values > maxValues) throw notPlain;
    if (isPlainLeaf(value)) return value;
    if (depth >= maxDepth) throw notPlain;
    if (Array.isArray(value))
      return Object.freeze(Array.from(value, (item) => this.copy(item, depth + 1)));
    if (!isPlainObject(value)) throw notPlain;
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.freeze(
      Object.fromEntries(entries.map(([key, item]) => [key, this.copy(item, depth + 1)])),
    );
  }
}

function isPlainLeaf(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return value === null || typeof value === "string" || typeof value === "boolean";
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || "toJSON" in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return false;
  return Object.getOwnPropertySymbols(value).length === 0;
}
