import { Bench } from "tinybench";

export interface Subject {
  readonly name: string;
  /** Does the work once; `work` of `compare` says how many operations that is. */
  readonly run: () => unknown;
  /** Further columns of its row. */
  readonly about?: Readonly<Record<string, boolean | number | string>>;
}

export interface Measured {
  readonly name: string;
  readonly nanoseconds: number;
  /** Speed against the first subject: the median over the rounds, and what a tenth of them is below and above. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  readonly [about: string]: boolean | number | string;
}

export interface Plan {
  /** Operations in one run of a subject. */
  readonly operations: number;
  readonly rounds?: number;
  readonly roundMs?: number;
}

/** Every round measures every subject once, each time in another order, so that a busy machine slows all of them. */
export async function compare(
  subjects: readonly Subject[],
  { operations, rounds = 7, roundMs = 40 }: Plan,
): Promise<Measured[]> {
  const times = subjects.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < subjects.length; turn++) {
      const index = (turn + round) % subjects.length;
      const subject = subjects[index];
      if (subject === undefined) continue;
      const warmupTime = round === 0 ? roundMs : roundMs / 4;
      times[index]?.push((await medianMs(subject, { time: roundMs, warmupTime })) / operations);
    }
  }
  return subjects.map(({ name, about = {} }, index) => {
    const own = times[index] ?? [];
    const ratios = own.map((time, round) => (times[0]?.[round] ?? Number.NaN) / time);
    return { name, ...about, nanoseconds: tidy(1e6 * median(own)), ...spread(ratios) };
  });
}

export function spread(ratios: readonly number[]): Pick<Measured, "ratio" | "low" | "high"> {
  return {
    ratio: tidy(median(ratios)),
    low: tidy(quantile(ratios, 0.1)),
    high: tidy(quantile(ratios, 0.9)),
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Three figures, or two decimals. */
export function tidy(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(value >= 1 ? 3 : 2));
}

async function medianMs(
  { name, run }: Subject,
  times: { readonly time: number; readonly warmupTime: number },
): Promise<number> {
  const bench = new Bench({ ...times, iterations: 3, warmupIterations: 1 });
  bench.add(name, run);
  const [task] = await bench.run();
  const result = task?.result;
  if (result?.state !== "completed") throw new Error(`${name} did not complete`);
  return result.latency.p50;
}
