import { tidy } from "./report.ts";
import type { Row } from "./report.ts";
import { median, ratioInterval } from "./statistics.ts";
import type { Interval } from "./statistics.ts";

/** What one client did in one slice. */
export interface Sample {
  readonly requests: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Of what it gives, less is better. */
export type Metric = (sample: Sample) => number;

export const cpuPerRequest: Metric = ({ cpuMicroseconds, requests }) => cpuMicroseconds / requests;
export const secondsPerRequest: Metric = ({ requests, seconds }) => seconds / requests;
export const p50: Metric = ({ p50Ms }) => p50Ms;

/**
 * Neighbouring slices of which the best one counts. What else the machine does can only make a slice worse, so that the
 * best of a few tells more than their median.
 */
const BLOCK = 6;

export class Samples {
  /** Of a client and a concurrency, by generation and round. */
  readonly #all = new Map<string, Sample[][]>();

  add(label: string, concurrency: number, generation: number, sample: Sample): void {
    const key = keyOf(label, concurrency);
    const generations = this.#all.get(key) ?? [];
    this.#all.set(key, generations);
    (generations[generation] ??= []).push(sample);
  }

  /**
   * Of one client over another, or over the mean of several that are alike: the best of each block, medians of their ratios
   * within generations, the interval of these.
   */
  ratio(
    metric: Metric,
    subject: string,
    baseline: string | readonly string[],
    concurrency: number,
  ): Interval {
    const theirs = [baseline].flat().map((label) => this.#logs(metric, label, concurrency));
    const ours = this.#logs(metric, subject, concurrency);
    const ratios = ours.map((blocks, generation) => {
      const logs = blocks.map((log, block) => {
        const others = theirs.map((logsOf) => logsOf[generation]?.[block] ?? Number.NaN);
        return log - others.reduce((sum, other) => sum + other, 0) / others.length;
      });
      return Math.exp(median(logs));
    });
    return ratioInterval(ratios);
  }

  /** By generation and block. */
  #logs(metric: Metric, label: string, concurrency: number): readonly (readonly number[])[] {
    return this.#of(label, concurrency).map((rounds) =>
      bestOfBlocks(rounds, metric).map((best) => Math.log(best)),
    );
  }

  /** Medians over all slices. */
  row(label: string, concurrency: number): Row {
    const samples = this.#of(label, concurrency).flat();
    const middle = (metric: Metric): number => tidy(median(samples.map(metric)));
    return {
      "requests/s": middle(({ requests, seconds }) => requests / seconds),
      "CPU µs": middle(cpuPerRequest),
      "p50 ms": middle(p50),
      "p99 ms": middle(({ p99Ms }) => p99Ms),
    };
  }

  #of(label: string, concurrency: number): readonly (readonly Sample[])[] {
    return this.#all.get(keyOf(label, concurrency)) ?? [];
  }
}

function keyOf(label: string, concurrency: number): string {
  return `${label} ${concurrency}`;
}

function bestOfBlocks(rounds: readonly Sample[], metric: Metric): number[] {
  const blocks = Math.max(1, Math.floor(rounds.length / BLOCK));
  return Array.from({ length: blocks }, (_, block) =>
    Math.min(...rounds.slice(block * BLOCK, (block + 1) * BLOCK).map(metric)),
  );
}
