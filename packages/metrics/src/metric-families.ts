export interface MetricSample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A value read when it is scraped. */
export interface ScalarFamily {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  read(): readonly MetricSample[];
}

/** Fed from the component's own events: each `event` is one observation of `value(event)`. */
export interface HistogramFamily<E = never> {
  readonly type: "histogram";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly event: string;
  readonly buckets: readonly number[];
  value(event: E): number;
  labelsOf?(event: E): Readonly<Record<string, string>>;
}

export type MetricFamily = ScalarFamily | HistogramFamily;
