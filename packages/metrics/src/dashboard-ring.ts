/** The last frames, a column for each series: a fixed number of frames and of series, so a fixed number of bytes. */
export class FrameRing {
  readonly length: number;
  readonly #maxSeries: number;
  readonly #atMs: Float64Array;
  readonly #columns = new Map<string, Column>();
  #frames = 0;
  #dropped = 0;

  constructor(length: number, maxSeries: number) {
    this.length = length;
    this.#maxSeries = maxSeries;
    this.#atMs = new Float64Array(length);
  }

  /** Series that found no room. */
  get dropped(): number {
    return this.#dropped;
  }

  get bytes(): number {
    return (1 + this.#columns.size) * this.length * Float64Array.BYTES_PER_ELEMENT;
  }

  push(atMs: number, values: Readonly<Record<string, number>>): void {
    const slot = this.#frames % this.length;
    this.#frames += 1;
    this.#atMs[slot] = atMs;
    for (const [key, column] of this.#columns) {
      if (Object.hasOwn(values, key)) continue;
      column.values[slot] = NaN;
      if (this.#frames - column.lastFrame >= this.length) this.#columns.delete(key);
    }
    this.#dropped = 0;
    for (const [key, value] of Object.entries(values)) this.#put(key, slot, value);
  }

  /** Oldest first. A frame without the series has `null`. */
  history(): { atMs: number[]; series: Record<string, (number | null)[]> } {
    const slots = this.#slots();
    const series: Record<string, (number | null)[]> = {};
    for (const [key, { values }] of this.#columns) {
      series[key] = slots.map((slot) => compact(values[slot] as number));
    }
    return { atMs: slots.map((slot) => Math.round(this.#atMs[slot] as number)), series };
  }

  #put(key: string, slot: number, value: number): void {
    let column = this.#columns.get(key);
    if (column === undefined) {
      if (this.#columns.size >= this.#maxSeries) {
        this.#dropped += 1;
        return;
      }
      column = { values: new Float64Array(this.length).fill(NaN), lastFrame: 0 };
      this.#columns.set(key, column);
    }
    column.values[slot] = value;
    column.lastFrame = this.#frames;
  }

  #slots(): readonly number[] {
    const count = Math.min(this.#frames, this.length);
    const first = this.#frames - count;
    return Array.from({ length: count }, (_, index) => (first + index) % this.length);
  }
}

interface Column {
  readonly values: Float64Array;
  lastFrame: number;
}

/** Six digits are more than a chart can show, and a third of the bytes. */
function compact(value: number): number | null {
  return Number.isNaN(value) ? null : Number(value.toPrecision(6));
}
