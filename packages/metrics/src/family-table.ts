import { AlreadyCollectedError, FamilyConflictError } from "./errors.ts";
import type { HistogramCells } from "./histogram-cells.ts";
import type { MetricFamily, MetricSample } from "./metric-families.ts";

export type Labels = Readonly<Record<string, string>>;

/** Read when it is scraped; the samples are checked and bounded already. */
export interface ScalarSource {
  read(): readonly Required<MetricSample>[];
}

/** Where the series of a family come from: each component adds one, under constant labels of its own. */
export interface Source {
  readonly labels: Labels;
  readonly values: ScalarSource | HistogramCells;
}

/** What a family looks like, however its series are fed. */
export interface FamilyShape {
  readonly name: string;
  readonly type: MetricFamily["type"];
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

/** One family of the exposition, whichever components share it. */
export interface TableFamily extends FamilyShape {
  readonly buckets: readonly number[];
  readonly sources: ReadonlyMap<string, Source>;
}

interface Entry extends TableFamily {
  readonly sources: Map<string, Source>;
}

/** All families, by name. No two of them claim the same name in either exposition format. */
export class FamilyTable {
  readonly #families = new Map<string, Entry>();
  readonly #claims = new Map<string, string>();
  readonly #onAdd: (family: TableFamily) => void;
  readonly #onRemove: (family: TableFamily) => void;

  constructor(onAdd: (family: TableFamily) => void, onRemove: (family: TableFamily) => void) {
    this.#onAdd = onAdd;
    this.#onRemove = onRemove;
  }

  get size(): number {
    return this.#families.size;
  }

  families(): readonly TableFamily[] {
    return [...this.#families.values()];
  }

  /** Adds the series of one component; returns what removes them. */
  add(family: FamilyShape, source: Source): () => void {
    const shared = family.labels.find((label) => Object.hasOwn(source.labels, label));
    if (shared !== undefined) {
      throw new FamilyConflictError(family.name, `label ${shared} is both its own and constant`);
    }
    const entry = this.#entryFor(family);
    const key = sourceKey(source.labels);
    if (entry.sources.has(key)) throw new AlreadyCollectedError(family.name, source.labels);
    if (entry.sources.size === 0) this.#insert(entry);
    entry.sources.set(key, source);
    return () => this.#remove(entry, key, source);
  }

  #entryFor(family: FamilyShape): Entry {
    const existing = this.#families.get(family.name);
    if (existing === undefined) return this.#newEntry(family);
    const difference = differenceOf(existing, family);
    if (difference !== undefined) throw new FamilyConflictError(family.name, difference);
    return existing;
  }

  #newEntry(family: FamilyShape): Entry {
    for (const name of claimedNames(family)) {
      const owner = this.#claims.get(name);
      if (owner !== undefined) {
        throw new FamilyConflictError(family.name, `${name} is also written by ${owner}`);
      }
    }
    const { name, type, help, unit, labels, buckets = [] } = family;
    const shape = { name, type, help, unit, labels: [...labels], buckets: [...buckets] };
    return { ...shape, sources: new Map() };
  }

  #insert(entry: Entry): void {
    this.#families.set(entry.name, entry);
    for (const name of claimedNames(entry)) this.#claims.set(name, entry.name);
    this.#onAdd(entry);
  }

  #remove(entry: Entry, key: string, source: Source): void {
    if (entry.sources.get(key) !== source) return;
    entry.sources.delete(key);
    if (entry.sources.size > 0) return;
    this.#families.delete(entry.name);
    for (const name of claimedNames(entry)) this.#claims.delete(name);
    this.#onRemove(entry);
  }
}

/** Names an exposition writes for a family. OpenMetrics names a counter without its suffix. */
function claimedNames({ name, type }: FamilyShape): string[] {
  if (type === "counter") return [name, name.slice(0, -"_total".length)];
  if (type === "histogram") return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`];
  return [name];
}

function differenceOf(entry: Entry, family: FamilyShape): string | undefined {
  if (entry.type !== family.type) return `collected as a ${entry.type}, now a ${family.type}`;
  if (entry.unit !== family.unit) return `collected in ${entry.unit}, now in ${family.unit}`;
  if (!sameItems(entry.labels.toSorted(), family.labels.toSorted())) {
    return `collected with the labels [${entry.labels.join()}], now with [${family.labels.join()}]`;
  }
  return sameItems(entry.buckets, family.buckets ?? [])
    ? undefined
    : "collected with other buckets";
}

function sameItems<T>(left: readonly T[], right: readonly T[]): boolean {
  return left.length === right.length && left.every((item, index) => item === right[index]);
}

function sourceKey(labels: Labels): string {
  return JSON.stringify(
    Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
}
