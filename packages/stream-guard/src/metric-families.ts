export interface MetricSample {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A value read when it is collected. */
export interface ScalarFamily {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly unit: string;
  readonly labels: readonly string[];
  read(): readonly MetricSample[];
}

/** Fed from the component's own events: `component.on(family.event, (event) => record(family.value(event)))`. */
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

export function scalar(
  type: "counter" | "gauge",
  name: string,
  help: string,
  unit: string,
  read: () => number,
): ScalarFamily {
  return { type, name, help, unit, labels: [], read: () => [{ value: read() }] };
}

/** One sample for each key of a bounded record of counts. */
export function scalarBy(
  type: "counter" | "gauge",
  name: string,
  help: string,
  label: string,
  read: () => Readonly<Record<string, number>>,
): ScalarFamily {
  return {
    type,
    name,
    help,
    unit: "",
    labels: [label],
    read: () => Object.entries(read()).map(([key, value]) => ({ value, labels: { [label]: key } })),
  };
}
