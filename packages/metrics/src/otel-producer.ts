import type { CollectionResult, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { InvalidOptionError } from "./errors.ts";
import { requireObject } from "./options.ts";
import { Points } from "./otel-points.ts";
import { SeriesSpans } from "./otel-series.ts";
import type { FamilySnapshot } from "./snapshot.ts";

/** Whatever can be asked for all its series: `Metrics` can. */
export interface HasSnapshot {
  snapshot(): Promise<Readonly<Record<string, FamilySnapshot>>>;
}

export interface ProducerOptions {
  /** Default `cumulative`. A producer of deltas serves one reader alone, and what that one fails to export is lost. */
  readonly temporality?: "cumulative" | "delta";
  /** Wall clock: Unix time in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

/** A producer and the SDK ask for a resource, and the reader then takes its provider's. */
const NO_RESOURCE = { attributes: {} } as CollectionResult["resourceMetrics"]["resource"];
const SCOPE = { name: "@mcp-accel/metrics" };

/**
 * Everything `metrics` collects, for the `metricProducers` of an OpenTelemetry metric reader. It never rejects: what cannot be
 * exported is left out and named in the collection's `errors`, so that the SDK's own metrics are exported all the same.
 *
 * Throws `InvalidOptionError`.
 */
export function metricProducer(
  metrics: HasSnapshot,
  options: ProducerOptions = {},
): MetricProducer {
  if (typeof metrics?.snapshot !== "function") {
    throw new InvalidOptionError("metrics", "an object with snapshot()", metrics);
  }
  requireObject("options", options);
  const { temporality = "cumulative", now = () => Date.now() } = options;
  if (temporality !== "cumulative" && temporality !== "delta") {
    throw new InvalidOptionError("temporality", "cumulative or delta", temporality);
  }
  if (typeof now !== "function") throw new InvalidOptionError("now", "a function", now);
  const isDelta = temporality === "delta";
  const spans = new SeriesSpans(isDelta, performance.timeOrigin);
  return {
    collect: async () => {
      const errors: unknown[] = [];
      try {
        const families = await metrics.snapshot();
        const endMs = now();
        if (!(endMs >= 0 && endMs < Infinity)) {
          throw new InvalidOptionError("now()", "a Unix time in milliseconds", endMs);
        }
        spans.begin(endMs);
        const found = new Points(spans, endMs, isDelta, errors).of(families);
        spans.end();
        return resultOf(found, errors);
      } catch (error) {
        return resultOf([], [...errors, error]);
      }
    },
  };
}

function resultOf(metrics: MetricData[], errors: unknown[]): CollectionResult {
  const scopeMetrics = metrics.length === 0 ? [] : [{ scope: SCOPE, metrics }];
  return { resourceMetrics: { resource: NO_RESOURCE, scopeMetrics }, errors };
}
