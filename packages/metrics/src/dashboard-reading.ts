import { LabelValues } from "./cardinality.ts";
import { MEASURES, selectorsOf } from "./dashboard-measures.ts";
import type { Selector } from "./dashboard-measures.ts";
import type { FamilySnapshot, HistogramSnapshot, ScalarSnapshot } from "./snapshot.ts";

export type Snapshot = Readonly<Record<string, FamilySnapshot>>;

/** Samples added up. Of a histogram, `value` counts its observations and `buckets` are cumulative. */
export interface Cell {
  value: number;
  sum: number;
  readonly bounds: readonly number[];
  readonly buckets: number[];
}

/** What the selectors found, by `selectorKey` and then by label value, `""` without one. */
export type Reading = ReadonlyMap<string, ReadonlyMap<string, Cell>>;

interface BucketNames {
  readonly names: readonly string[];
  readonly bounds: readonly number[];
}

const NO_BUCKETS: BucketNames = { names: [], bounds: [] };

export function selectorKey({ family, where = {}, has = "", not = {}, by = "" }: Selector): string {
  return `${family} ${JSON.stringify(where)} ${has} ${JSON.stringify(not)} ${by}`;
}

/** Reduces snapshots to the few numbers the measures need. A label takes at most `maxLabels` values, then `_OTHER`. */
export class Reader {
  readonly #selectors: ReadonlyMap<string, Selector> = new Map(
    MEASURES.flatMap(selectorsOf).map((selector) => [selectorKey(selector), selector]),
  );
  readonly #labels = new Map<string, LabelValues>();
  readonly #buckets = new Map<string, BucketNames>();
  readonly #maxLabels: number;

  constructor(maxLabels: number) {
    this.#maxLabels = maxLabels;
  }

  read(snapshot: Snapshot): Reading {
    const reading = new Map<string, ReadonlyMap<string, Cell>>();
    for (const [key, selector] of this.#selectors) {
      const family = snapshot[selector.family];
      if (family === undefined) continue;
      reading.set(key, this.#cells(selector, family));
    }
    return reading;
  }

  #cells(selector: Selector, { type, samples }: FamilySnapshot): ReadonlyMap<string, Cell> {
    const cells = new Map<string, Cell>();
    // Nothing counted yet is 0 of what is counted; a gauge without samples says nothing.
    if (type !== "gauge" && selector.by === undefined) cells.set("", emptyCell(NO_BUCKETS));
    for (const sample of samples) {
      if (!matches(selector, sample.labels)) continue;
      const label = this.#label(selector, sample.labels);
      const buckets = "buckets" in sample ? this.#bucketNames(selector.family, sample) : NO_BUCKETS;
      let cell = cells.get(label);
      if (cell === undefined || cell.bounds !== buckets.bounds) {
        cell = emptyCell(buckets);
        cells.set(label, cell);
      }
      if (counts(selector, sample.labels)) add(cell, sample, buckets.names);
    }
    return cells;
  }

  #label({ by }: Selector, labels: ScalarSnapshot["labels"]): string {
    if (by === undefined) return "";
    let values = this.#labels.get(by);
    if (values === undefined) this.#labels.set(by, (values = new LabelValues(this.#maxLabels)));
    return values.admit(labels[by] as string);
  }

  // Keys that look like integers come first in a record, whatever their place among the bounds.
  #bucketNames(family: string, { buckets }: HistogramSnapshot): BucketNames {
    let known = this.#buckets.get(family);
    if (known === undefined) {
      const names = Object.keys(buckets).toSorted((left, right) => bound(left) - bound(right));
      known = { names, bounds: names.map(bound) };
      this.#buckets.set(family, known);
    }
    return known;
  }
}

/** A label value none of whose samples count has a cell all the same: its 0. */
function counts({ has, not = {} }: Selector, labels: ScalarSnapshot["labels"]): boolean {
  if (has !== undefined && labels[has] === undefined) return false;
  return Object.entries(not).every(([name, value]) => labels[name] !== value);
}

function matches({ where = {}, by }: Selector, labels: ScalarSnapshot["labels"]): boolean {
  if (by !== undefined && labels[by] === undefined) return false;
  return Object.entries(where).every(([name, value]) => labels[name] === value);
}

function emptyCell({ bounds }: BucketNames): Cell {
  return { value: 0, sum: 0, bounds, buckets: bounds.map(() => 0) };
}

function add(
  cell: Cell,
  sample: ScalarSnapshot | HistogramSnapshot,
  names: readonly string[],
): void {
  if (!("buckets" in sample)) {
    cell.value += sample.value;
    return;
  }
  cell.value += sample.count;
  cell.sum += sample.sum;
  for (const [index, name] of names.entries()) {
    cell.buckets[index] = (cell.buckets[index] as number) + (sample.buckets[name] ?? 0);
  }
}

function bound(name: string): number {
  return name === "+Inf" ? Infinity : Number(name);
}
