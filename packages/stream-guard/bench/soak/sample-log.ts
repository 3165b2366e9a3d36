import type { Sample } from "./record.ts";

const FIELDS = [
  "atMs",
  "sessions",
  "operations",
  "floorBytes",
  "codeBytes",
  "rssBytes",
  "ledgerBytes",
  "openSessions",
  "busyLedgerBytes",
  "busySessions",
] as const satisfies readonly (keyof Sample)[];

/** Samples in memory that is taken beforehand: kept as objects they would be a leak that the soak finds. */
export class SampleLog {
  readonly #values: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity * FIELDS.length);
  }

  get full(): boolean {
    return this.#size === this.#values.length;
  }

  /** @throws RangeError when it is full */
  add(sample: Sample): void {
    if (this.full) throw new RangeError("no room is left for samples");
    for (const field of FIELDS) {
      this.#values[this.#size] = sample[field];
      this.#size += 1;
    }
  }

  samples(): readonly Sample[] {
    return Array.from({ length: this.#size / FIELDS.length }, (_, index) => this.#at(index));
  }

  #at(index: number): Sample {
    const offset = index * FIELDS.length;
    const entries = FIELDS.map((field, at) => [field, this.#values[offset + at] ?? 0] as const);
    return Object.fromEntries(entries) as unknown as Sample;
  }
}
