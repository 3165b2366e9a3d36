import { MEASURES, selectorsOf } from "./dashboard-measures.ts";
import type { Measure, Selector } from "./dashboard-measures.ts";
import { PANELS } from "./dashboard-protocol.ts";
import type { PanelName } from "./dashboard-protocol.ts";
import { selectorKey } from "./dashboard-reading.ts";
import type { Cell, Reading } from "./dashboard-reading.ts";

/** Two readings and the time between them. */
export interface Window {
  readonly oldest: Reading;
  readonly newest: Reading;
  readonly seconds: number;
}

const EMPTY: Cell = { value: 0, sum: 0, bounds: [], buckets: [] };

/** Values of all measures, under their keys. A measure without anything to say is left out: no data is not 0. */
export function evaluate(window: Window): Record<string, number> {
  const values: Record<string, number> = {};
  for (const measure of MEASURES) {
    if (measure.kind === "share") {
      put(values, measure.key, "", share(window, measure.part, measure.whole));
      continue;
    }
    const key = selectorKey(measure.of);
    const before = window.oldest.get(key);
    for (const [label, cell] of window.newest.get(key) ?? []) {
      const earlier = before === undefined ? undefined : (before.get(label) ?? EMPTY);
      put(values, measure.key, label, valueOf(measure, window.seconds, cell, earlier));
    }
  }
  return values;
}

/** Panels with a family in this reading. */
export function panelsOf(reading: Reading): readonly PanelName[] {
  const present = (measure: Measure) =>
    selectorsOf(measure).some((selector) => reading.has(selectorKey(selector)));
  return PANELS.filter((panel) =>
    MEASURES.some((measure) => measure.panel === panel && present(measure)),
  );
}

/**
 * Linear within its bucket, as `histogram_quantile` of Prometheus. In the last bucket it is the highest finite bound: nothing
 * is known beyond. `undefined` without observations.
 */
export function quantileOf(
  bounds: readonly number[],
  cumulative: readonly number[],
  q: number,
): number | undefined {
  const count = cumulative.at(-1) ?? 0;
  if (count <= 0) return undefined;
  const rank = q * count;
  const index = cumulative.findIndex((observations) => observations >= rank && observations > 0);
  const upper = bounds[index] as number;
  const lower = index === 0 ? 0 : (bounds[index - 1] as number);
  if (upper === Infinity) return lower;
  const below = index === 0 ? 0 : (cumulative[index - 1] as number);
  const inside = (cumulative[index] as number) - below;
  return lower + (upper - lower) * (inside === 0 ? 0 : (rank - below) / inside);
}

function valueOf(
  measure: Measure,
  seconds: number,
  cell: Cell,
  before: Cell | undefined,
): number | undefined {
  if (measure.kind === "gauge" || measure.kind === "total") return cell.value;
  // A family that has just been added has no past: its counts may be older than the window.
  if (seconds <= 0 || before === undefined) return undefined;
  const change = difference(cell, before);
  if (measure.kind === "rate") return change.value / seconds;
  if (measure.kind === "busy") return change.sum / seconds;
  if (measure.kind === "mean") return change.value > 0 ? change.sum / change.value : undefined;
  if (measure.kind === "quantile") return quantileOf(change.bounds, change.buckets, measure.q);
  return undefined;
}

// A counter that fell belongs to a component that was taken away or began anew: what it shows now is all that is known.
function difference(cell: Cell, before: Cell): Cell {
  if (cell.value < before.value) return cell;
  return {
    value: cell.value - before.value,
    sum: Math.max(0, cell.sum - before.sum),
    bounds: cell.bounds,
    buckets: cell.buckets.map((count, index) => Math.max(0, count - (before.buckets[index] ?? 0))),
  };
}

function share(
  window: Window,
  part: readonly Selector[],
  whole: readonly Selector[],
): number | undefined {
  const all = changeOf(window, whole);
  return all > 0 ? changeOf(window, part) / all : undefined;
}

function changeOf({ oldest, newest }: Window, selectors: readonly Selector[]): number {
  let total = 0;
  for (const selector of selectors) {
    const key = selectorKey(selector);
    const cell = newest.get(key)?.get("");
    const before = oldest.get(key);
    if (cell === undefined || before === undefined) continue;
    total += difference(cell, before.get("") ?? EMPTY).value;
  }
  return total;
}

function put(
  values: Record<string, number>,
  key: string,
  label: string,
  value: number | undefined,
): void {
  if (value === undefined || !Number.isFinite(value)) return;
  values[label === "" ? key : `${key}|${label}`] = value;
}
