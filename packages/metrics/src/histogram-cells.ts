import { MAX_SERIES, OTHER } from "./cardinality.ts";
import type { LabelValues } from "./cardinality.ts";
import type { Exemplar } from "./exemplar.ts";

export interface HistogramCell {
  /** Without the labels whose value is empty. */
  readonly labels: Readonly<Record<string, string>>;
  /** Observations in each bucket, not cumulative; the last one is beyond every bound. */
  readonly counts: Float64Array;
  sum: number;
  /** By bucket; absent until one was observed. */
  exemplars?: (Exemplar | undefined)[];
}

type Node = Map<string, Node | HistogramCell>;

/**
 * The series of one histogram, found by label values: one map look-up for each label and no allocation for a series that exists.
 * Values that `limits` does not admit are folded into `_OTHER`; beyond `MAX_SERIES` series all labels are.
 */
export class HistogramCells {
  readonly buckets: readonly number[];
  readonly #labels: readonly string[];
  readonly #limits: readonly LabelValues[];
  readonly #root: Node = new Map();
  readonly #cells: HistogramCell[] = [];

  /** `limits` has one entry for each label. A histogram without labels has its one series from the start. */
  constructor(
    buckets: readonly number[],
    labels: readonly string[],
    limits: readonly LabelValues[],
  ) {
    this.buckets = buckets;
    this.#labels = labels;
    this.#limits = limits;
    if (labels.length === 0) this.#insert([]);
  }

  get cells(): readonly HistogramCell[] {
    return this.#cells;
  }

  /** `values` are those of the labels, in their order, empty for none. The array is not kept. */
  observe(values: readonly string[], value: number, exemplar?: Exemplar): void {
    const cell = this.#find(values) ?? this.#admit(values);
    const { buckets } = this;
    let index = 0;
    while (index < buckets.length && value > (buckets[index] as number)) index += 1;
    cell.counts[index] = (cell.counts[index] as number) + 1;
    cell.sum += value;
    if (exemplar !== undefined) (cell.exemplars ??= [])[index] = exemplar;
  }

  #find(values: readonly string[]): HistogramCell | undefined {
    if (values.length === 0) return this.#cells[0];
    let node: Node | HistogramCell | undefined = this.#root;
    for (const value of values) {
      node = (node as Node).get(value);
      if (node === undefined) return undefined;
    }
    return node as HistogramCell;
  }

  #admit(values: readonly string[]): HistogramCell {
    const admitted = values.map((value, index) =>
      (this.#limits[index] as LabelValues).admit(value),
    );
    const known = this.#find(admitted);
    if (known !== undefined) return known;
    if (this.#cells.length < MAX_SERIES) return this.#insert(admitted);
    const folded = values.map(() => OTHER);
    return this.#find(folded) ?? this.#insert(folded);
  }

  #insert(values: readonly string[]): HistogramCell {
    const present = this.#labels.map((label, index) => [label, values[index] as string] as const);
    const cell: HistogramCell = {
      labels: Object.fromEntries(present.filter(([, value]) => value !== "")),
      counts: new Float64Array(this.buckets.length + 1),
      sum: 0,
    };
    this.#cells.push(cell);
    let node = this.#root;
    for (const [index, value] of values.entries()) {
      if (index === values.length - 1) node.set(value, cell);
      else node = childOf(node, value);
    }
    return cell;
  }
}

function childOf(node: Node, value: string): Node {
  const existing = node.get(value);
  if (existing !== undefined) return existing as Node;
  const child: Node = new Map();
  node.set(value, child);
  return child;
}
