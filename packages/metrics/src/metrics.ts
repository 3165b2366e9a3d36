import { EventEmitter } from "eventemitter3";
import { activeFamily } from "./active-operations.ts";
import { LabelValues } from "./cardinality.ts";
import { Collection } from "./collect.ts";
import type { Collectable } from "./collect.ts";
import { MetricsClosedError, NestedReadError } from "./errors.ts";
import { Exposition } from "./exposition.ts";
import { FamilyTable } from "./family-table.ts";
import type { Labels } from "./family-table.ts";
import { scrapeHandler } from "./handler.ts";
import type { EndpointHandler, ScrapeHandlerOptions } from "./handler.ts";
import type { ScalarFamily } from "./metric-families.ts";
import { negotiateFormat } from "./negotiate.ts";
import { OperationMetrics, durationFamily, operationSeries } from "./operations.ts";
import { constantLabels, requireObject, resolveOptions } from "./options.ts";
import type { MetricsOptions, ResolvedOptions } from "./options.ts";
import { RuntimeMetrics } from "./runtime.ts";
import { ignoreRejection, safely } from "./safe-emit.ts";
import { snapshotOf } from "./snapshot.ts";
import type { FamilySnapshot } from "./snapshot.ts";

export interface CollectOptions {
  /** Constant labels of the component's series: what tells two components of one kind apart. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface CollectErrorEvent {
  readonly family: string;
  readonly error: unknown;
}

export interface MetricsEvents {
  /** A family could not be read or an observation could not be recorded. */
  collectError: [event: CollectErrorEvent];
}

export interface MetricsStats {
  readonly components: number;
  readonly families: number;
  readonly scrapes: number;
  readonly collectErrors: number;
  /** Series left out of the last scrape because a label had too many values. */
  readonly droppedSeries: number;
  readonly closed: boolean;
}

/** Collects the families of components and writes them for Prometheus. */
export class Metrics extends EventEmitter<MetricsEvents> implements Disposable {
  readonly operations: OperationMetrics;
  readonly #options: ResolvedOptions;
  readonly #exposition = new Exposition();
  readonly #table: FamilyTable = new FamilyTable(
    (family) => this.#exposition.add(family),
    (family) => this.#exposition.remove(family),
  );
  readonly #collections = new Set<Collection>();
  readonly #runtime: RuntimeMetrics | undefined;
  readonly #errors = new Map<string, number>();
  readonly #failedFamilies: LabelValues;
  #scrapes = 0;
  /** What is being read right now. */
  #reading: { readonly family: string; refused: boolean } | undefined;
  #closed = false;

  /** Throws `InvalidOptionError` for a wrong option. */
  constructor(options: MetricsOptions = {}) {
    super();
    this.#options = resolveOptions(options);
    const { labels, maxLabelValues, runtime, now } = this.#options;
    this.#failedFamilies = new LabelValues(maxLabelValues);
    const failed = (family: string, error: unknown) => this.#failed(family, error);
    const series = operationSeries(this.#options);
    this.operations = new OperationMetrics(series, now, failed);
    this.#table.add(durationFamily, { labels, values: series.durations });
    this.#table.add(activeFamily, { labels, values: series.active });
    this.collect(series.tiers);
    this.collect(this);
    this.#runtime = runtime ? new RuntimeMetrics(now) : undefined;
    try {
      if (this.#runtime !== undefined) this.collect(this.#runtime);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Adds a component's families until the returned disposable is disposed. Its histograms begin now; its scalars are read at
   * each scrape and cost nothing in between.
   *
   * Throws `InvalidFamilyError`, `FamilyConflictError`, `AlreadyCollectedError`, `InvalidOptionError` or `MetricsClosedError`;
   * then nothing of the component is collected.
   */
  collect(component: Collectable, options: CollectOptions = {}): Disposable {
    this.#assertOpen("collect");
    requireObject("options", options);
    const own = constantLabels("labels", options.labels ?? {});
    const labels: Labels = { ...this.#options.labels, ...own };
    const collection = new Collection(component, labels, {
      table: this.#table,
      maxLabelValues: this.#options.maxLabelValues,
      failed: (family, error) => this.#failed(family, error),
      reading: (family, read) => this.#read(family, read),
    });
    this.#collections.add(collection);
    return {
      [Symbol.dispose]: () => {
        this.#collections.delete(collection);
        collection[Symbol.dispose]();
      },
    };
  }

  /** The text of all series, in the format an `Accept` header asks for: Prometheus text or OpenMetrics. */
  exposition(accept?: string): Promise<{ contentType: string; body: string }> {
    return this.#unlessReading("exposition", async () => {
      this.#assertOpen("exposition");
      this.#scrapes += 1;
      return await this.#exposition.render(negotiateFormat(accept));
    });
  }

  /**
   * A `node:http` request listener for the scrape endpoint. It serves requests for loopback hosts unless its guard says otherwise.
   * Throws `InvalidOptionError` for a wrong option.
   */
  handler(options: ScrapeHandlerOptions = {}): EndpointHandler {
    return scrapeHandler(
      (accept) => this.exposition(accept),
      () => this.#closed,
      options,
    );
  }

  /** All series as plain objects, by family name; with `only`, nothing but these families is read. */
  snapshot(only?: ReadonlySet<string>): Promise<Readonly<Record<string, FamilySnapshot>>> {
    return this.#unlessReading("snapshot", async () => {
      this.#assertOpen("snapshot");
      const families = this.#table.families();
      return snapshotOf(
        only === undefined ? families : families.filter(({ name }) => only.has(name)),
      );
    });
  }

  stats(): MetricsStats {
    return {
      components: this.#collections.size,
      families: this.#table.size,
      scrapes: this.#scrapes,
      collectErrors: sum(this.#errors.values()),
      droppedSeries: sum(this.#dropped().values()),
      closed: this.#closed,
    };
  }

  /** What this package says about itself. */
  metricFamilies(): readonly ScalarFamily[] {
    return [
      {
        type: "counter",
        name: "metrics_collect_errors_total",
        help: "Reads and observations of a family that failed and were left out",
        unit: "",
        labels: ["family"],
        read: () => samplesOf(this.#errors),
      },
      {
        type: "gauge",
        name: "metrics_dropped_series",
        help: "Gauge series left out of the last scrape because a label had too many values",
        unit: "",
        labels: ["family"],
        read: () => samplesOf(this.#dropped()),
      },
    ];
  }

  /** Drops all series, listeners and monitors. Recording goes on without effect; scrapes are refused. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const collection of this.#collections) collection[Symbol.dispose]();
    this.#collections.clear();
    this.#runtime?.[Symbol.dispose]();
    this.removeAllListeners();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #failed(family: string, error: unknown): void {
    const counted = this.#failedFamilies.admit(family);
    this.#errors.set(counted, (this.#errors.get(counted) ?? 0) + 1);
    safely(() => this.emit("collectError", { family, error }));
  }

  #read<R>(family: string, read: () => R): R {
    this.#reading = { family, refused: false };
    try {
      return read();
    } finally {
      this.#reading = undefined;
    }
  }

  /** A read that asks for all series would never end. It is told so; when it does not look, the process goes on. */
  #unlessReading<R>(call: string, run: () => Promise<R>): Promise<R> {
    const reading = this.#reading;
    if (reading === undefined) return run();
    const error = new NestedReadError(reading.family, call);
    if (!reading.refused) {
      reading.refused = true;
      this.#failed(reading.family, error);
    }
    const refused = Promise.reject<R>(error);
    ignoreRejection(refused);
    return refused;
  }

  #dropped(): Map<string, number> {
    const dropped = new Map<string, number>();
    for (const collection of this.#collections) {
      for (const { family, count } of collection.dropped()) {
        dropped.set(family, (dropped.get(family) ?? 0) + count);
      }
    }
    return dropped;
  }

  #assertOpen(call: string): void {
    if (this.#closed) throw new MetricsClosedError(call);
  }
}

function samplesOf(counts: ReadonlyMap<string, number>) {
  return Array.from(counts, ([family, value]) => ({ value, labels: { family } }));
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
