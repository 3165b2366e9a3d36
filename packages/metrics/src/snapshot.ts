import type { TableFamily } from "./family-table.ts";
import { HistogramCells } from "./histogram-cells.ts";
import type { HistogramCell } from "./histogram-cells.ts";

export interface ScalarSnapshot {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface HistogramSnapshot {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
  readonly sum: number;
  /** Observations at or below each bound. */
  readonly buckets: Readonly<Record<string, number>>;
}

export interface FamilySnapshot {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly unit: string;
  readonly samples: readonly (ScalarSnapshot | HistogramSnapshot)[];
}

export function snapshotOf(families: readonly TableFamily[]): Record<string, FamilySnapshot> {
  return Object.fromEntries(families.map((family) => [family.name, familySnapshot(family)]));
}

function familySnapshot({ type, help, unit, sources }: TableFamily): FamilySnapshot {
  const samples: (ScalarSnapshot | HistogramSnapshot)[] = [];
  for (const { labels: constants, values } of Array.from(sources.values())) {
    if (values instanceof HistogramCells) {
      for (const cell of values.cells) samples.push(histogram(cell, values.buckets, constants));
    } else {
      for (const { value, labels } of values.read()) {
        samples.push({ labels: { ...labels, ...constants }, value });
      }
    }
  }
  return { type, help, unit, samples };
}

function histogram(
  cell: HistogramCell,
  bounds: readonly number[],
  constants: Readonly<Record<string, string>>,
): HistogramSnapshot {
  const buckets: Record<string, number> = {};
  let count = 0;
  for (const [index, observations] of cell.counts.entries()) {
    count += observations;
    buckets[String(bounds[index] ?? "+Inf")] = count;
  }
  return { labels: { ...cell.labels, ...constants }, count, sum: cell.sum, buckets };
}
