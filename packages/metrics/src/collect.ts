import { LabelValues } from "./cardinality.ts";
import { InvalidFamilyError, InvalidOptionError, InvalidSampleError } from "./errors.ts";
import { checkFamily } from "./family-check.ts";
import type { FamilyTable, Labels, Source } from "./family-table.ts";
import { HistogramCells } from "./histogram-cells.ts";
import type { HistogramFamily, MetricFamily } from "./metric-families.ts";
import { ignoreRejection } from "./safe-emit.ts";
import { ScalarReader } from "./scalar-reader.ts";
import type { ReadContext } from "./scalar-reader.ts";

/**
 * Anything that describes its own metrics. `on` and `off` are needed for histograms only; their parameters are `never` so that
 * emitters with typed events fit.
 */
export interface Collectable {
  metricFamilies(): readonly MetricFamily[];
  on?(event: never, listener: never): unknown;
  off?(event: never, listener: never): unknown;
}

export interface CollectContext extends ReadContext {
  readonly table: FamilyTable;
  readonly maxLabelValues: number;
}

/** The series and listeners of one component. Created whole or not at all. */
export class Collection implements Disposable {
  readonly #component: Collectable;
  readonly #labels: Labels;
  readonly #context: CollectContext;
  readonly #readers: { readonly family: string; readonly reader: ScalarReader }[] = [];
  readonly #undo: { readonly family: string; readonly run: () => void }[] = [];

  constructor(component: Collectable, labels: Labels, context: CollectContext) {
    this.#component = component;
    this.#labels = labels;
    this.#context = context;
    const families = familiesOf(component);
    try {
      for (const family of families) this.#add(family);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Series left out of the last scrape, by family. */
  dropped(): readonly { readonly family: string; readonly count: number }[] {
    return this.#readers
      .map(({ family, reader }) => ({ family, count: reader.dropped }))
      .filter(({ count }) => count > 0);
  }

  /** Never throws: an `off` that does keeps nothing else from being let go. */
  [Symbol.dispose](): void {
    for (const { family, run } of this.#undo.splice(0).toReversed()) {
      try {
        run();
      } catch (error) {
        this.#context.failed(family, error);
      }
    }
  }

  #add(family: MetricFamily): void {
    const { name } = family;
    const { table, maxLabelValues } = this.#context;
    const add = (values: Source["values"]): void => {
      this.#undo.push({ family: name, run: table.add(family, { labels: this.#labels, values }) });
    };
    const limits = family.labels.map(() => new LabelValues(maxLabelValues));
    if (family.type === "histogram") {
      const values = new HistogramCells([...family.buckets], family.labels, limits);
      add(values);
      this.#listen(family, values);
      return;
    }
    const values = new ScalarReader(family, limits, this.#context);
    add(values);
    this.#readers.push({ family: name, reader: values });
  }

  #listen(family: HistogramFamily, cells: HistogramCells): void {
    const component = this.#component;
    if (typeof component.on !== "function" || typeof component.off !== "function") {
      throw new InvalidFamilyError(family.name, "a component with on() and off()", component);
    }
    const { failed } = this.#context;
    const listener = (event: never): void => {
      try {
        observe(family, cells, event);
      } catch (error) {
        failed(family.name, error);
      }
    };
    component.on(family.event as never, listener as never);
    const run = () => component.off?.(family.event as never, listener as never);
    this.#undo.push({ family: family.name, run });
  }
}

function familiesOf(component: Collectable): readonly MetricFamily[] {
  if (typeof component?.metricFamilies !== "function") {
    throw new InvalidOptionError("component", "an object with metricFamilies()", component);
  }
  const families = component.metricFamilies();
  if (!Array.isArray(families)) {
    throw new InvalidOptionError("component.metricFamilies()", "an array", families);
  }
  for (const family of families) checkFamily(family);
  return families;
}

function observe(family: HistogramFamily, cells: HistogramCells, event: never): void {
  const value = family.value(event);
  if (!Number.isFinite(value)) {
    ignoreRejection(value);
    throw new InvalidSampleError(family.name, "a finite value", value);
  }
  if (family.labels.length === 0) {
    cells.observe([], value);
    return;
  }
  const labels = family.labelsOf?.(event) ?? {};
  cells.observe(
    family.labels.map((name) => labelValue(family, labels, name)),
    value,
  );
}

function labelValue(
  family: HistogramFamily,
  labels: Readonly<Record<string, unknown>>,
  name: string,
): string {
  const value = Object.hasOwn(labels, name) ? (labels[name] ?? "") : "";
  if (typeof value !== "string") {
    throw new InvalidSampleError(family.name, `the label ${name} as a string`, value);
  }
  return value;
}
