/** Stands for every label value beyond the bound, as in the OpenTelemetry conventions. */
export const OTHER = "_OTHER";

/** Series one family of one component may have: the default cardinality limit of the OpenTelemetry metrics SDKs. */
export const MAX_SERIES = 2000;

const MAX_VALUE_LENGTH = 128;

/**
 * The values one label may take: the known ones and, while there is room, whatever comes first. Everything else is `_OTHER`, so
 * that callers who choose names freely cannot make series without bound. The empty value is free: it means "no such label".
 */
export class LabelValues {
  readonly #admitted = new Set<string>();
  readonly #max: number;
  #open = true;

  /** `max` counts the `known` values too: a list that begins full stays as it is. */
  constructor(max: number, known: Iterable<string> = []) {
    this.#max = max;
    this.#add(known);
  }

  get size(): number {
    return this.#admitted.size;
  }

  /** The value to record in the place of `value`: itself or `_OTHER`. */
  admit(value: string): string {
    if (value === "" || this.#admitted.has(value)) return value;
    if (!this.#open || !this.#fits(value)) return OTHER;
    this.#admitted.add(value);
    return value;
  }

  /** Takes in `values`, as far as there is room, and from now on nothing else. */
  know(values: Iterable<string>): void {
    this.#open = false;
    this.#add(values);
  }

  #add(values: Iterable<string>): void {
    for (const value of values) if (this.#fits(value)) this.#admitted.add(value);
  }

  #fits(value: unknown): boolean {
    return (
      typeof value === "string" &&
      value.length > 0 &&
      value.length <= MAX_VALUE_LENGTH &&
      value.isWellFormed() &&
      this.#admitted.size < this.#max
    );
  }
}
