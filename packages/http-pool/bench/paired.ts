import { Child } from "./child.ts";
import type { ClientOptions } from "./clients.ts";
import type { ServerCounts } from "./server.ts";
import { tidy } from "./report.ts";
import type { Row } from "./report.ts";
import { median, ratioInterval } from "./statistics.ts";
import type { Interval } from "./statistics.ts";

export interface Slice {
  readonly concurrency: number;
  readonly durationMs: number;
  /** It goes on until so many were answered. */
  readonly minRequests?: number;
}

export interface Sample {
  readonly requests: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Subject {
  readonly label: string;
  readonly client: Omit<ClientOptions, "connections" | "origin">;
}

export interface Plan {
  /** New processes for every subject; a confidence interval is that of their ratios. */
  readonly generations: number;
  /** Slices of each subject, within a generation and at each concurrency. */
  readonly rounds: number;
  readonly concurrencies: readonly number[];
  readonly sliceMs: (concurrency: number) => number;
  /** Requests of each client until its code is compiled. */
  readonly warmUpRequests: number;
}

/** What the clients talk to, and who counts for it. */
export interface MeasuredServer {
  readonly origin: string;
  counts(): Promise<ServerCounts>;
}

/** By generation, then by round. */
type Samples = readonly (readonly Sample[])[];

export type Metric = (sample: Sample) => number;

export const cpuPerRequest: Metric = ({ cpuMicroseconds, requests }) => cpuMicroseconds / requests;
export const rate: Metric = ({ requests, seconds }) => requests / seconds;
export const p50: Metric = ({ p50Ms }) => p50Ms;

export interface Paired {
  /** Of one subject over another: ratios within rounds, their medians within generations, the interval of these. */
  ratio(metric: Metric, subject: string, baseline: string, concurrency: number): Interval;
  row(subject: string, concurrency: number): Row;
  /** How busy the server was, as a part of one core. */
  readonly serverLoad: number;
}

/** One subject at a time, each a short slice, in an order that is rotated from round to round. */
export async function measurePaired(
  server: MeasuredServer,
  subjects: readonly Subject[],
  plan: Plan,
): Promise<Paired> {
  const all = new Map<string, Sample[][]>();
  const busy: number[] = [];
  for (let generation = 0; generation < plan.generations; generation += 1) {
    const children = await startAll(server.origin, subjects);
    // Warm code first; connections are opened by the first slice at each concurrency.
    const warmUp: Slice = {
      concurrency: plan.concurrencies[1] ?? plan.concurrencies[0] ?? 1,
      durationMs: 1,
      minRequests: plan.warmUpRequests,
    };
    for (const child of children.values()) await child.ask<Sample>(warmUp);
    for (const concurrency of plan.concurrencies) {
      const slice: Slice = { concurrency, durationMs: plan.sliceMs(concurrency) };
      for (const child of children.values())
        await child.ask<Sample>({ ...slice, durationMs: slice.durationMs / 2 } satisfies Slice);
      for (let round = 0; round < plan.rounds; round += 1) {
        const order = rotate([...children], generation + round);
        const before = await server.counts();
        const startedAt = performance.now();
        for (const [label, child] of order) {
          const sample = await child.ask<Sample>(slice);
          push(all, key(label, concurrency), generation, sample);
        }
        const { cpuMs } = await server.counts();
        busy.push((cpuMs - before.cpuMs) / (performance.now() - startedAt));
      }
    }
    await Promise.all([...children.values()].map((child) => child.kill()));
  }
  return summary(all, median(busy));
}

async function startAll(origin: string, subjects: readonly Subject[]): Promise<Map<string, Child>> {
  const started = subjects.map(async ({ label, client }) => {
    const [child] = await Child.start("client-process.ts", [JSON.stringify({ ...client, origin })]);
    return [label, child] as const;
  });
  return new Map(await Promise.all(started));
}

function summary(all: ReadonlyMap<string, Samples>, serverLoad: number): Paired {
  const of = (label: string, concurrency: number): Samples =>
    all.get(key(label, concurrency)) ?? [];
  return {
    serverLoad,
    ratio: (metric, subject, baseline, concurrency) => {
      const theirs = of(baseline, concurrency);
      const ratios = of(subject, concurrency).map((rounds, generation) =>
        median(
          rounds.map((sample, round) => {
            const other = theirs[generation]?.[round];
            return other === undefined ? Number.NaN : metric(sample) / metric(other);
          }),
        ),
      );
      return ratioInterval(ratios);
    },
    row: (subject, concurrency) => {
      const samples = of(subject, concurrency).flat();
      const middle = (metric: Metric): number => tidy(median(samples.map(metric)));
      return {
        "requests/s": middle(rate),
        "CPU µs": middle(cpuPerRequest),
        "p50 ms": middle(p50),
        "p99 ms": middle(({ p99Ms }) => p99Ms),
      };
    },
  };
}

function key(label: string, concurrency: number): string {
  return `${label} ${concurrency}`;
}

function push(
  all: Map<string, Sample[][]>,
  name: string,
  generation: number,
  sample: Sample,
): void {
  const generations = all.get(name) ?? [];
  all.set(name, generations);
  (generations[generation] ??= []).push(sample);
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  const turned = [...items.slice(start), ...items.slice(0, start)];
  return by % 2 === 0 ? turned : turned.toReversed();
}
