import { matches } from "./alert-expressions.ts";
import type { AnySelector } from "./alert-expressions.ts";
import { SeriesWindow } from "./alert-window.ts";
import type { Labels } from "./family-table.ts";
import type { FamilySnapshot, HistogramSnapshot, ScalarSnapshot } from "./snapshot.ts";

export interface TrackerLimits {
  /** Series one selector follows. */
  readonly maxSeries: number;
  /** Read-outs of one series. */
  readonly maxPoints: number;
}

export interface TrackedSeries {
  readonly labels: Labels;
  readonly window: SeriesWindow;
}

/** Every tracker of a family sees the same samples. */
const keys = new WeakMap<object, string>();

/** The series that one selector matches, each with its window, from read-out to read-out. */
export class SelectorTracker {
  readonly selector: AnySelector;
  readonly #windowMs: number;
  readonly #reads: "value" | "buckets";
  readonly #limits: TrackerLimits;
  readonly #series = new Map<string, TrackedSeries>();
  #bounds: readonly number[] = [];
  #dropped = 0;

  constructor(
    selector: AnySelector,
    windowMs: number,
    limits: TrackerLimits,
    reads: "value" | "buckets" = "value",
  ) {
    this.selector = selector;
    this.#windowMs = windowMs;
    this.#limits = limits;
    this.#reads = reads;
  }

  get series(): Iterable<TrackedSeries> {
    return this.#series.values();
  }

  /** Upper bounds of the buckets, rising, the last one infinite. */
  get bounds(): readonly number[] {
    return this.#bounds;
  }

  /** Series beyond the limit at the last read-out. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes in what was read at `timeMs`. A family that is not there, or of another type, has no series. */
  update(timeMs: number, family: FamilySnapshot | undefined): void {
    this.#dropped = 0;
    for (const [key, { window }] of this.#series) {
      window.prune(timeMs);
      if (window.size === 0) this.#series.delete(key);
    }
    if (family === undefined || family.type !== this.selector.type) return;
    if (this.#reads === "buckets") this.#takeBounds(family);
    for (const sample of family.samples) {
      if (matches(this.selector, sample.labels)) this.#add(timeMs, sample);
    }
  }

  #add(timeMs: number, sample: ScalarSnapshot | HistogramSnapshot): void {
    const key = keyOf(sample);
    let series = this.#series.get(key);
    if (series === undefined) {
      if (this.#series.size >= this.#limits.maxSeries) {
        this.#dropped += 1;
        return;
      }
      const window = new SeriesWindow(this.#windowMs, this.#limits.maxPoints);
      series = { labels: sample.labels, window };
      this.#series.set(key, series);
    }
    series.window.add(timeMs, this.#values(sample));
  }

  #values(sample: ScalarSnapshot | HistogramSnapshot): readonly number[] {
    if ("value" in sample) return [sample.value];
    if (this.#reads === "value") return [sample.count];
    return this.#bounds.map((bound) => sample.buckets[bucketName(bound)] ?? 0);
  }

  /** Keys that look like integers come first in an object, so the order is made anew. */
  #takeBounds({ samples }: FamilySnapshot): void {
    const sample = samples.find((one) => "buckets" in one);
    if (sample === undefined) return;
    const bounds = Object.keys(sample.buckets).map((name) =>
      Number(name.replace("+Inf", "Infinity")),
    );
    this.#bounds = bounds.toSorted((left, right) => left - right);
  }
}

function bucketName(bound: number): string {
  return bound === Infinity ? "+Inf" : String(bound);
}

function keyOf(sample: ScalarSnapshot | HistogramSnapshot): string {
  let key = keys.get(sample);
  if (key === undefined) {
    const entries = Object.entries(sample.labels);
    key = JSON.stringify(entries.toSorted(([left], [right]) => (left < right ? -1 : 1)));
    keys.set(sample, key);
  }
  return key;
}
