import { Bench } from "tinybench";

export interface Subject {
  readonly name: string;
  /** Does the work once. */
  readonly run: () => Promise<unknown>;
}

export interface Spread {
  /** Median over the rounds, and what a tenth of them is below and above. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
}

export interface Cost extends Spread {
  readonly name: string;
  readonly microseconds: number;
  readonly cpuMicroseconds: number;
  readonly [about: string]: number | string;
}

export interface Plan {
  /** Items in one run of a subject. */
  readonly items: number;
  readonly rounds: number;
  readonly roundMs: number;
}

interface Reading {
  readonly ms: number;
  readonly cpuMs: number;
}

/**
 * Time and CPU time of an item; ratios are times against the first subject, in the same round. Every round measures every subject
 * once, each time in another order, so that a busy machine slows all of them.
 */
export async function compare(subjects: readonly Subject[], plan: Plan): Promise<Cost[]> {
  const readings = subjects.map((): Reading[] => []);
  for (const subject of subjects) await measure(subject, plan.roundMs);
  for (let round = 0; round < plan.rounds; round++)
    for (let turn = 0; turn < subjects.length; turn++) {
      const index = (turn + round) % subjects.length;
      const subject = subjects[index];
      if (subject !== undefined) readings[index]?.push(await measure(subject, plan.roundMs));
    }
  const perItem = (all: readonly number[]): number => tidy((median(all) * 1_000) / plan.items);
  return subjects.map(({ name }, index) => {
    const own = readings[index] ?? [];
    const ratios = own.map(({ ms }, round) => ms / (readings[0]?.[round]?.ms ?? Number.NaN));
    return {
      name,
      microseconds: perItem(own.map(({ ms }) => ms)),
      cpuMicroseconds: perItem(own.map(({ cpuMs }) => cpuMs)),
      ...spread(ratios),
    };
  });
}

export function spread(ratios: readonly number[]): Spread {
  return {
    ratio: tidy(median(ratios)),
    low: tidy(quantile(ratios, 0.1)),
    high: tidy(quantile(ratios, 0.9)),
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Three figures. */
export function tidy(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

async function measure({ name, run }: Subject, time: number): Promise<Reading> {
  const bench = new Bench({ time, iterations: 1, warmup: false });
  bench.add(name, run);
  const before = process.cpuUsage();
  const [task] = await bench.run();
  const { user, system } = process.cpuUsage(before);
  const result = task?.result;
  if (result?.state !== "completed") throw new Error(`${name} did not complete`);
  const { p50, samplesCount } = result.latency;
  return { ms: p50, cpuMs: (user + system) / 1_000 / samplesCount };
}
