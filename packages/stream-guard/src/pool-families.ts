import type { MetricFamily, MetricSample } from "./metric-families.ts";
import type { AcquireEvent, PoolRejectReason, ReleaseEvent } from "./pool-events.ts";

export interface ResourcePoolStats {
  readonly name: string;
  readonly capacity: number;
  /** Weight that is out now. */
  readonly inUse: number;
  /** Most weight ever out at once. */
  readonly peak: number;
  readonly permits: number;
  readonly waiting: number;
  readonly queueLimit: number;
  readonly acquired: number;
  readonly rejected: Readonly<Record<PoolRejectReason, number>>;
  readonly longHolds: number;
}

const SECONDS = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120];

export function poolFamilies(
  pool: string,
  stats: () => ResourcePoolStats,
): readonly MetricFamily[] {
  const labels = { pool };
  const family = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    read: () => number,
  ): MetricFamily => ({
    type,
    name: `stream_guard_pool_${name}`,
    help,
    unit: "",
    labels: ["pool"],
    read: () => [{ value: read(), labels }],
  });
  return [
    family("gauge", "capacity", "Weight that may be out", () => stats().capacity),
    family("gauge", "in_use", "Weight that is out", () => stats().inUse),
    family("gauge", "waiting", "Callers waiting for a permit", () => stats().waiting),
    family("counter", "acquired_total", "Permits given", () => stats().acquired),
    family("counter", "long_holds_total", "Permits held too long", () => stats().longHolds),
    {
      type: "counter",
      name: "stream_guard_pool_rejected_total",
      help: "Callers that got no permit, by reason",
      unit: "",
      labels: ["pool", "reason"],
      read: () =>
        Object.entries(stats().rejected).map(([reason, value]): MetricSample => ({
          value,
          labels: { pool, reason },
        })),
    },
    {
      type: "histogram",
      name: "stream_guard_pool_wait_seconds",
      help: "Time a permit was waited for",
      unit: "seconds",
      labels: ["pool"],
      event: "acquire",
      buckets: SECONDS,
      value: ({ waitMs }: AcquireEvent) => waitMs / 1000,
      labelsOf: () => labels,
    },
    {
      type: "histogram",
      name: "stream_guard_pool_hold_seconds",
      help: "Time a permit was held",
      unit: "seconds",
      labels: ["pool"],
      event: "release",
      buckets: SECONDS,
      value: ({ heldMs }: ReleaseEvent) => heldMs / 1000,
      labelsOf: () => labels,
    },
  ];
}
