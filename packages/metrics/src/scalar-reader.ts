import { MAX_SERIES, OTHER } from "./cardinality.ts";
import type { LabelValues } from "./cardinality.ts";
import { InvalidSampleError } from "./errors.ts";
import type { MetricSample, ScalarFamily } from "./metric-families.ts";
import { ignoreRejection } from "./safe-emit.ts";

interface FoldedSample {
  value: number;
  readonly labels: Labels;
  folded: boolean;
}

type Labels = Readonly<Record<string, string>>;

export interface ReadContext {
  readonly failed: (family: string, error: unknown) => void;
  /** Runs `read`, during which all series cannot be asked for. */
  readonly reading: <R>(family: string, read: () => R) => R;
}

interface Entry extends Required<MetricSample> {
  readonly admitted: Labels;
  readonly key: string;
}

const NO_LABELS: Labels = {};

/**
 * Reads a family when it is scraped, checks it against its own description and bounds its series: beyond the bound, counters are
 * summed under `_OTHER` and gauges are left out, because a sum of gauges means nothing.
 */
export class ScalarReader {
  readonly #family: ScalarFamily;
  readonly #limits: readonly LabelValues[];
  readonly #context: ReadContext;
  /** The series of the last read. */
  #last: ReadonlyMap<string, FoldedSample> = new Map();
  #dropped = 0;

  constructor(family: ScalarFamily, limits: readonly LabelValues[], context: ReadContext) {
    this.#family = family;
    this.#limits = limits;
    this.#context = context;
  }

  /** Series left out of the last read. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws: a family that cannot be read has no samples. */
  read(): readonly Required<MetricSample>[] {
    const { name } = this.#family;
    this.#dropped = 0;
    return this.#context.reading(name, () => {
      try {
        return this.#samples();
      } catch (error) {
        this.#dropped = 0;
        this.#context.failed(name, error);
        return [];
      }
    });
  }

  #samples(): readonly Required<MetricSample>[] {
    const samples: unknown = this.#family.read();
    if (!Array.isArray(samples)) {
      ignoreRejection(samples);
      throw this.#invalid("read() to return an array of samples", samples);
    }
    return this.#family.labels.length === 0 ? this.#single(samples) : this.#bounded(samples);
  }

  #single(samples: readonly MetricSample[]): readonly Required<MetricSample>[] {
    if (samples.length > 1) throw this.#invalid("one sample, as there are no labels", samples);
    return samples.map((sample) => this.#checked(sample));
  }

  #bounded(samples: readonly MetricSample[]): readonly Required<MetricSample>[] {
    const series = new Map<string, FoldedSample>();
    for (const entry of this.#entries(samples)) {
      const hasRoom = series.size < MAX_SERIES || series.has(entry.key);
      const admitted = hasRoom ? entry.admitted : this.#others();
      const folded = admitted !== entry.labels;
      if (folded && this.#family.type === "gauge") {
        this.#dropped += 1;
        continue;
      }
      const key = hasRoom ? entry.key : keyOf(this.#family.labels, admitted);
      const existing = series.get(key);
      if (existing === undefined) series.set(key, { value: entry.value, labels: admitted, folded });
      else if (folded || existing.folded) {
        existing.value += entry.value;
        existing.folded = true;
      } else throw this.#invalid("each series once", JSON.stringify(entry.labels));
    }
    this.#last = series;
    return [...series.values()];
  }

  /** Where there is no room for all, those of the last read come first: a counter that loses its series would fall. */
  #entries(samples: readonly MetricSample[]): readonly Entry[] {
    const names = this.#family.labels;
    const entries = samples.map((sample) => {
      const { value, labels } = this.#checked(sample);
      const admitted = this.#admit(labels);
      return { value, labels, admitted, key: keyOf(names, admitted) };
    });
    if (entries.length <= MAX_SERIES) return entries;
    const rank = ({ key }: Entry): number => (this.#last.has(key) ? 0 : 1);
    return entries.toSorted((left, right) => rank(left) - rank(right));
  }

  #others(): Labels {
    return Object.fromEntries(this.#family.labels.map((name) => [name, OTHER]));
  }

  /** `labels` itself when every value is admitted. */
  #admit(labels: Labels): Labels {
    let admitted = labels;
    for (const [index, name] of this.#family.labels.entries()) {
      const value = labels[name] as string;
      const bounded = (this.#limits[index] as LabelValues).admit(value);
      if (bounded !== value) admitted = { ...admitted, [name]: bounded };
    }
    return admitted;
  }

  /** The sample read once, as what was checked is what is written. */
  #checked({ value, labels = NO_LABELS }: MetricSample): Required<MetricSample> {
    const { type, labels: declared } = this.#family;
    if (typeof value !== "number") {
      ignoreRejection(value);
      throw this.#invalid("a number", value);
    }
    if (type === "counter" && !(value >= 0 && value < Infinity)) {
      throw this.#invalid("a finite count of at least 0", value);
    }
    if (typeof labels !== "object" || labels === null) throw this.#invalid("labels", labels);
    let count = 0;
    for (const name in labels) if (Object.hasOwn(labels, name)) count += 1;
    if (count !== declared.length || !declared.every((name) => typeof labels[name] === "string")) {
      throw this.#invalid(`the labels [${declared.join()}] as strings`, Object.keys(labels).join());
    }
    return { value, labels };
  }

  #invalid(expected: string, received: unknown): InvalidSampleError {
    return new InvalidSampleError(this.#family.name, expected, received);
  }
}

/** Lengths make the concatenation unambiguous whatever the values contain. */
function keyOf(names: readonly string[], labels: Labels): string {
  let key = "";
  for (const name of names) {
    const value = labels[name] as string;
    key += `${value.length}:${value}`;
  }
  return key;
}
