import { EventEmitter } from "eventemitter3";
import { parseExposition } from "./parse-exposition.ts";
import type { ParsedFamily, ParsedSample } from "./parse-exposition.ts";
import type { HistogramFamily, MetricFamily, Metrics, ScalarFamily } from "../src/index.ts";

export const OPENMETRICS = "application/openmetrics-text; version=1.0.0";

export interface LookupEvent {
  readonly seconds: number;
  readonly outcome: string;
}

/** A component as the siblings are: a typed emitter that counts in plain fields. */
export class FakeCache extends EventEmitter<{ lookup: [event: LookupEvent] }> {
  hits = 0;
  entries = 0;

  metricFamilies(): readonly MetricFamily[] {
    return [
      counter("fake_cache_hits_total", () => this.hits),
      gauge("fake_cache_entries", () => this.entries),
      lookupDuration,
    ];
  }
}

export const lookupDuration: HistogramFamily<LookupEvent> = {
  type: "histogram",
  name: "fake_cache_lookup_duration_seconds",
  help: "Time of a look-up",
  unit: "seconds",
  labels: ["outcome"],
  event: "lookup",
  buckets: [0.001, 0.01, 1],
  value: ({ seconds }) => seconds,
  labelsOf: ({ outcome }) => ({ outcome }),
};

export function counter(name: string, read: () => number): ScalarFamily {
  return {
    type: "counter",
    name,
    help: name,
    unit: "",
    labels: [],
    read: () => [{ value: read() }],
  };
}

export function gauge(name: string, read: () => number): ScalarFamily {
  return { type: "gauge", name, help: name, unit: "", labels: [], read: () => [{ value: read() }] };
}

export function labelled(
  type: "counter" | "gauge",
  name: string,
  label: string,
  read: () => Iterable<readonly [string, number]>,
): ScalarFamily {
  const samples = () => Array.from(read(), ([key, value]) => ({ value, labels: { [label]: key } }));
  return { type, name, help: name, unit: "", labels: [label], read: samples };
}

/** A component of exactly these families. */
export function component(...families: readonly MetricFamily[]): {
  metricFamilies(): readonly MetricFamily[];
} {
  return { metricFamilies: () => families };
}

export async function scrape(metrics: Metrics): Promise<Map<string, ParsedFamily>> {
  const open = await metrics.exposition(OPENMETRICS);
  parseExposition(open.body, "openmetrics");
  const text = await metrics.exposition();
  return parseExposition(text.body, "prometheus");
}

/** Samples of one family, of both formats checked. */
export async function samplesOf(metrics: Metrics, name: string): Promise<readonly ParsedSample[]> {
  return (await scrape(metrics)).get(name)?.samples ?? [];
}

/** The `_count` of each series of a histogram, by the value of one label. */
export async function countsOf(
  metrics: Metrics,
  name: string,
  label: string,
): Promise<Record<string, number>> {
  const samples = await samplesOf(metrics, name);
  const counts = samples.filter((sample) => sample.name === `${name}_count`);
  return Object.fromEntries(counts.map(({ labels, value }) => [labels[label] ?? "", value]));
}
