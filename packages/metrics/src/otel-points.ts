import type {
  AggregationTemporality,
  DataPoint,
  DataPointType,
  Histogram,
  MetricData,
  MetricDescriptor,
} from "@opentelemetry/sdk-metrics";
import { InvalidSampleError } from "./errors.ts";
import { otelNames } from "./otel-names.ts";
import type { OtelName } from "./otel-names.ts";
import type { Counted, SeriesSpans } from "./otel-series.ts";
import type { FamilySnapshot, HistogramSnapshot, ScalarSnapshot } from "./snapshot.ts";

type Labels = Readonly<Record<string, string>>;
type Time = [seconds: number, nanoseconds: number];

/** The values of the SDK's enumerations: nothing of the SDK is loaded, so that either of its major versions will do. */
const DELTA = 0 as AggregationTemporality.DELTA;
const CUMULATIVE = 1 as AggregationTemporality.CUMULATIVE;
const HISTOGRAM = 0 as DataPointType.HISTOGRAM;
const GAUGE = 2 as DataPointType.GAUGE;
const SUM = 3 as DataPointType.SUM;
const DOUBLE = 1 as MetricDescriptor["valueType"];
const UNKNOWN: Time = [0, 0];

/** Turns the families of one collection into those of OpenTelemetry. */
export class Points {
  readonly #spans: SeriesSpans;
  readonly #endTime: Time;
  readonly #aggregationTemporality: AggregationTemporality;
  readonly #errors: unknown[];

  /** What cannot be exported is added to `errors`. */
  constructor(spans: SeriesSpans, endMs: number, isDelta: boolean, errors: unknown[]) {
    this.#spans = spans;
    this.#endTime = timeOf(endMs);
    this.#aggregationTemporality = isDelta ? DELTA : CUMULATIVE;
    this.#errors = errors;
  }

  of(families: Readonly<Record<string, FamilySnapshot>>): MetricData[] {
    const names = otelNames(families);
    return Object.entries(families)
      .map(([family, snapshot]) => this.#metric(family, names.get(family) as OtelName, snapshot))
      .filter(({ dataPoints }) => dataPoints.length > 0);
  }

  #metric(family: string, named: OtelName, { type, help, samples }: FamilySnapshot): MetricData {
    const common = {
      descriptor: { name: named.name, description: help, unit: named.unit, valueType: DOUBLE },
      aggregationTemporality: this.#aggregationTemporality,
    };
    if (type === "histogram") {
      const dataPoints = (samples as readonly HistogramSnapshot[]).map((sample) =>
        this.#histogram(family, named, sample),
      );
      return { ...common, dataPointType: HISTOGRAM, dataPoints };
    }
    const finite = this.#finite(family, samples as readonly ScalarSnapshot[]);
    if (type === "counter") {
      const dataPoints = finite.map((sample) => this.#sum(family, named, sample));
      return { ...common, dataPointType: SUM, isMonotonic: true, dataPoints };
    }
    const dataPoints = finite.map(({ labels, value }) => ({
      startTime: UNKNOWN,
      endTime: this.#endTime,
      attributes: attributesOf(labels, named),
      value,
    }));
    return { ...common, dataPointType: GAUGE, dataPoints };
  }

  /** OTLP in JSON cannot carry what is not finite. */
  #finite(family: string, samples: readonly ScalarSnapshot[]): readonly ScalarSnapshot[] {
    const odd = samples.find(({ value }) => !Number.isFinite(value));
    if (odd === undefined) return samples;
    this.#errors.push(new InvalidSampleError(family, "a finite value, for OTLP", odd.value));
    return samples.filter(({ value }) => Number.isFinite(value));
  }

  #sum(family: string, named: OtelName, { labels, value }: ScalarSnapshot): DataPoint<number> {
    const { before, ...point } = this.#point(family, named, labels, { counts: [value], sum: 0 });
    return { ...point, value: value - (before?.counts[0] ?? 0) };
  }

  #histogram(family: string, named: OtelName, sample: HistogramSnapshot): DataPoint<Histogram> {
    const { boundaries, counts } = bucketsOf(sample.buckets);
    const counted = { counts, sum: sample.sum };
    const { before, ...point } = this.#point(family, named, sample.labels, counted);
    const own = counts.map((count, index) => count - (before?.counts[index] ?? 0));
    const sum = sample.sum - (before?.sum ?? 0);
    const value = {
      buckets: { boundaries, counts: own },
      count: own.reduce((total, count) => total + count, 0),
      ...(Number.isFinite(sum) ? { sum } : {}),
    };
    return { ...point, value };
  }

  #point(family: string, named: OtelName, labels: Labels, counted: Counted) {
    const { startMs, before } = this.#spans.next(seriesKey(family, labels), counted);
    const attributes = attributesOf(labels, named);
    return { startTime: timeOf(startMs), endTime: this.#endTime, attributes, before };
  }
}

/** Bounds and the counts between them, from counts up to each bound in any order. */
function bucketsOf(buckets: Readonly<Record<string, number>>): {
  boundaries: number[];
  counts: number[];
} {
  const { "+Inf": total = 0, ...bounded } = buckets;
  const rising = Object.entries(bounded)
    .map(([bound, count]) => ({ bound: Number(bound), count }))
    .toSorted((left, right) => left.bound - right.bound);
  const upTo = [...rising.map(({ count }) => count), total];
  return {
    boundaries: rising.map(({ bound }) => bound),
    counts: upTo.map((count, index) => count - (upTo[index - 1] ?? 0)),
  };
}

/** A label without a value is no label in Prometheus, and no attribute. */
function attributesOf(labels: Labels, { attributes }: OtelName): Record<string, string> {
  const present = Object.entries(labels).filter(([, value]) => value !== "");
  return Object.fromEntries(
    present.map(([label, value]) => [attributes.get(label) ?? label, value]),
  );
}

function seriesKey(family: string, labels: Labels): string {
  return JSON.stringify([family, labels]);
}

function timeOf(unixMs: number): Time {
  const seconds = Math.floor(unixMs / 1000);
  return [seconds, Math.floor((unixMs - seconds * 1000) * 1e6)];
}
