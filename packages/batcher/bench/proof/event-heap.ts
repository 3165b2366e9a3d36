/** A binary heap of values by time; of two at one time the earlier pushed comes first. */
export class EventHeap<V> {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #values: V[] = [];
  #pushed = 0;

  get size(): number {
    return this.#values.length;
  }

  get nextAt(): number {
    return this.#times[0] ?? Infinity;
  }

  push(at: number, value: V): void {
    let index = this.#values.length;
    this.#times.push(at);
    this.#orders.push(this.#pushed++);
    this.#values.push(value);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#precedes(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): V | undefined {
    const last = this.#values.length - 1;
    if (last < 0) return undefined;
    this.#swap(0, last);
    this.#times.pop();
    this.#orders.pop();
    const value = this.#values.pop();
    this.#sink();
    return value;
  }

  #sink(): void {
    for (let index = 0; ;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2])
        if (child < this.size && this.#precedes(child, least)) least = child;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #precedes(one: number, other: number): boolean {
    const [at, otherAt] = [this.#times[one] ?? 0, this.#times[other] ?? 0];
    return at === otherAt ? (this.#orders[one] ?? 0) < (this.#orders[other] ?? 0) : at < otherAt;
  }

  #swap(one: number, other: number): void {
    swap(this.#times, one, other);
    swap(this.#orders, one, other);
    swap(this.#values, one, other);
  }
}

function swap<V>(values: V[], one: number, other: number): void {
  const kept = values[one] as V;
  values[one] = values[other] as V;
  values[other] = kept;
}
