import { MAX_SERIES, OTHER } from "./cardinality.ts";
import type { LabelValues } from "./cardinality.ts";
import { InvalidSampleError } from "./errors.ts";
import type { MetricSample, ScalarFamily } from "./metric-families.ts";

interface FoldedSample {
  value: number;
  readonly labels: Readonly<Record<string, string>>;
  folded: boolean;
}

const NO_LABELS: Readonly<Record<string, string>> = {};

/**
 * Reads a family when it is scraped, checks it against its own description and bounds its series: beyond the bound, counters are
 * summed under `_OTHER` and gauges are left out, because a sum of gauges means nothing.
 */
export class ScalarReader {
  readonly #family: ScalarFamily;
  readonly #limits: readonly LabelValues[];
  readonly #failed: (family: string, error: unknown) => void;
  #dropped = 0;

  constructor(
    family: ScalarFamily,
    limits: readonly LabelValues[],
    failed: (family: string, error: unknown) => void,
  ) {
    this.#family = family;
    this.#limits = limits;
    this.#failed = failed;
  }

  /** Series left out of the last read. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws: a family that cannot be read has no samples. */
  read(): readonly Required<MetricSample>[] {
    this.#dropped = 0;
    try {
      const samples = this.#family.read();
      for (const sample of samples) this.#check(sample);
      return this.#family.labels.length === 0 ? this.#single(samples) : this.#bounded(samples);
    } catch (error) {
      this.#failed(this.#family.name, error);
      return [];
    }
  }

  #single(samples: readonly MetricSample[]): readonly Required<MetricSample>[] {
    if (samples.length > 1) throw this.#invalid("one sample, as there are no labels", samples);
    return samples.map(({ value }) => ({ value, labels: NO_LABELS }));
  }

  #bounded(samples: readonly MetricSample[]): readonly Required<MetricSample>[] {
    const series = new Map<string, FoldedSample>();
    for (const { value, labels = NO_LABELS } of samples) {
      const admitted = this.#admit(labels, series.size);
      const folded = admitted !== labels;
      if (folded && this.#family.type === "gauge") {
        this.#dropped += 1;
        continue;
      }
      const key = keyOf(this.#family.labels, admitted);
      const existing = series.get(key);
      if (existing === undefined) series.set(key, { value, labels: admitted, folded });
      else if (folded || existing.folded) {
        existing.value += value;
        existing.folded = true;
      } else throw this.#invalid("each series once", JSON.stringify(labels));
    }
    return [...series.values()];
  }

  /** `labels` itself when every value is admitted and there is room for the series. */
  #admit(
    labels: Readonly<Record<string, string>>,
    seriesCount: number,
  ): Readonly<Record<string, string>> {
    const names = this.#family.labels;
    if (seriesCount >= MAX_SERIES) return Object.fromEntries(names.map((name) => [name, OTHER]));
    let admitted = labels;
    for (const [index, name] of names.entries()) {
      const value = labels[name] as string;
      const bounded = (this.#limits[index] as LabelValues).admit(value);
      if (bounded !== value) admitted = { ...admitted, [name]: bounded };
    }
    return admitted;
  }

  #check({ value, labels = NO_LABELS }: MetricSample): void {
    const { type, labels: declared } = this.#family;
    if (typeof value !== "number") throw this.#invalid("a number", value);
    if (type === "counter" && !(value >= 0 && value < Infinity)) {
      throw this.#invalid("a finite count of at least 0", value);
    }
    let count = 0;
    for (const name in labels) if (Object.hasOwn(labels, name)) count += 1;
    if (count !== declared.length || !declared.every((name) => typeof labels[name] === "string")) {
      const expected = `the labels [${declared.join()}] as strings`;
      throw this.#invalid(expected, JSON.stringify(labels));
    }
  }

  #invalid(expected: string, received: unknown): InvalidSampleError {
    return new InvalidSampleError(this.#family.name, expected, received);
  }
}

/** Lengths make the concatenation unambiguous whatever the values contain. */
function keyOf(names: readonly string[], labels: Readonly<Record<string, string>>): string {
  let key = "";
  for (const name of names) {
    const value = labels[name] as string;
    key += `${value.length}:${value}`;
  }
  return key;
}
