import { Registry } from "@prometheus-io/client";
import type { Metric } from "@prometheus-io/client";
import type { Exemplar } from "./exemplar.ts";
import type { TableFamily } from "./family-table.ts";
import { HistogramCells } from "./histogram-cells.ts";
import type { ExpositionFormat } from "./negotiate.ts";

/** One line of the exposition, as the registry takes it. */
interface Line {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Written after `labels`. The registry formats each object once and remembers it. */
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Written in OpenMetrics only. */
  readonly exemplar?: {
    readonly labelSet: Readonly<Record<string, string>>;
    readonly value: number;
    readonly timestamp: number;
  };
}

const CONTENT_TYPES = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const;

/** The text of all families in either format. Each format has its own registry, since a registry renames counters for OpenMetrics. */
export class Exposition {
  readonly #registries = {
    prometheus: new Registry(CONTENT_TYPES.prometheus),
    openmetrics: new Registry(CONTENT_TYPES.openmetrics),
  };

  add(family: TableFamily): void {
    const plain = new FamilyMetric(family, family.name, String);
    const open = new FamilyMetric(family, openMetricsName(family), canonicalNumber);
    this.#registries.prometheus.registerMetric(asClientMetric(plain));
    this.#registries.openmetrics.registerMetric(asClientMetric(open));
  }

  remove(family: TableFamily): void {
    this.#registries.prometheus.removeSingleMetric(family.name);
    this.#registries.openmetrics.removeSingleMetric(openMetricsName(family));
  }

  async render(format: ExpositionFormat): Promise<{ contentType: string; body: string }> {
    return { contentType: CONTENT_TYPES[format], body: await this.#registries[format].metrics() };
  }
}

class FamilyMetric {
  readonly name: string;
  readonly help: string;
  readonly type: TableFamily["type"];
  readonly #family: TableFamily;
  readonly #bounds: readonly Readonly<Record<string, string>>[];
  readonly #merged = new WeakMap<object, Readonly<Record<string, string>>>();

  constructor(family: TableFamily, name: string, bound: (value: number) => string) {
    this.name = name;
    this.type = family.type;
    // The registry escapes no quotes; OpenMetrics allows none bare.
    this.help = family.help.replaceAll('"', "'");
    this.#family = family;
    this.#bounds = [...family.buckets.map(bound), "+Inf"].map((le) => ({ le }));
  }

  get(): { name: string; help: string; type: TableFamily["type"]; values: readonly Line[] } {
    const { name, help, type } = this;
    const values: Line[] = [];
    for (const { labels, values: source } of Array.from(this.#family.sources.values())) {
      if (source instanceof HistogramCells) this.#histogramLines(labels, source, values);
      else {
        for (const sample of source.read()) values.push({ ...sample, sharedLabels: labels });
      }
    }
    return { name, help, type, values };
  }

  #histogramLines(
    constants: Readonly<Record<string, string>>,
    source: HistogramCells,
    lines: Line[],
  ): void {
    const { name } = this;
    for (const cell of source.cells) {
      const sharedLabels = this.#labelsOf(cell, constants);
      let count = 0;
      for (const [index, labels] of this.#bounds.entries()) {
        count += cell.counts[index] as number;
        const line = { metricName: `${name}_bucket`, labels, sharedLabels, value: count };
        const exemplar = cell.exemplars?.[index];
        lines.push(exemplar === undefined ? line : { ...line, exemplar: written(exemplar) });
      }
      lines.push({ metricName: `${name}_sum`, labels: NONE, sharedLabels, value: cell.sum });
      lines.push({ metricName: `${name}_count`, labels: NONE, sharedLabels, value: count });
    }
  }

  #labelsOf(
    cell: { readonly labels: Readonly<Record<string, string>> },
    constants: Readonly<Record<string, string>>,
  ): Readonly<Record<string, string>> {
    let labels = this.#merged.get(cell);
    if (labels === undefined) {
      labels = { ...cell.labels, ...constants };
      this.#merged.set(cell, labels);
    }
    return labels;
  }
}

function written({ traceId, spanId, value, seconds }: Exemplar): Line["exemplar"] & object {
  return { labelSet: { trace_id: traceId, span_id: spanId }, value, timestamp: seconds };
}

const NONE: Readonly<Record<string, string>> = {};

function openMetricsName({ name, type }: TableFamily): string {
  return type === "counter" ? name.replace(/_total$/, "") : name;
}

/** Bucket bounds as OpenMetrics 1.0 spells them: `1.0`, not `1`. */
function canonicalNumber(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toFixed(1) : String(value);
}

/** The registry asks a metric for no more than its name, type and `get()`. */
function asClientMetric(metric: FamilyMetric): Metric {
  return metric as unknown as Metric;
}
