/** A growing table of numbers, `width` to a row. */
export class Rows {
  readonly #width: number;
  #numbers: Float64Array = new Float64Array(1_024);
  #used = 0;

  constructor(width: number) {
    this.#width = width;
  }

  get length(): number {
    return this.#used / this.#width;
  }

  add(...row: readonly number[]): void {
    if (row.length !== this.#width)
      throw new RangeError(`expected ${this.#width} numbers, received ${row.length}`);
    if (this.#used + row.length > this.#numbers.length) this.#grow();
    this.#numbers.set(row, this.#used);
    this.#used += row.length;
  }

  /** What was added, row after row. */
  numbers(): Float64Array {
    return this.#numbers.slice(0, this.#used);
  }

  #grow(): void {
    const numbers = new Float64Array(2 * this.#numbers.length);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }
}
