import type { BatchProcessor } from "@mcp-accel/batcher";
import { median, spread, tidy } from "./measure.ts";

export interface Contender<T> {
  readonly name: string;
  readonly batcher: BatchProcessor<T, unknown>;
  /** Items that wait or run at any time: enough that there is always work, few enough to be through soon after. */
  readonly outstanding: number;
}

export interface LoadPlan<T> {
  readonly item: (index: number) => T;
  readonly warmUpMs: number;
  readonly rounds: number;
  readonly roundMs: number;
}

interface Reading {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
}

/**
 * Successful items a second while there is always work. Every contender keeps its batcher through all rounds, which take turns in
 * another order each time; ratios are throughput against the first, in the same round.
 */
export async function race<T>(contenders: readonly Contender<T>[], plan: LoadPlan<T>) {
  for (const contender of contenders) await load(contender, plan, plan.warmUpMs);
  const readings = contenders.map((): Reading[] => []);
  for (let round = 0; round < plan.rounds; round++)
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (turn + round) % contenders.length;
      const contender = contenders[index];
      if (contender !== undefined) readings[index]?.push(await load(contender, plan, plan.roundMs));
    }
  return contenders.map(({ name, batcher }, index) => {
    const own = readings[index] ?? [];
    const { batches, concurrencyLimit, retries, sizeLimit, splits } = batcher.stats();
    return {
      name,
      "items/s": tidy(median(own.map(({ perSecond }) => perSecond))),
      "CPU us/item": tidy(median(own.map(({ cpuMicroseconds }) => cpuMicroseconds))),
      ...spread(
        own.map(
          ({ perSecond }, round) => perSecond / (readings[0]?.[round]?.perSecond ?? Number.NaN),
        ),
      ),
      "at last": `${sizeLimit} x ${concurrencyLimit}`,
      calls: Object.values(batches).reduce((sum, count) => sum + count),
      retries,
      splits: splits["too-large"],
    };
  });
}

async function load<T>(
  { batcher, outstanding }: Contender<T>,
  { item }: LoadPlan<T>,
  forMs: number,
): Promise<Reading> {
  const before = process.cpuUsage();
  const started = performance.now();
  let done = 0;
  function* source(): Generator<T> {
    for (let index = 0; performance.now() - started < forMs; index++) yield item(index);
  }
  for await (const { status } of batcher.stream(source(), { windowItems: outstanding }))
    if (status === "fulfilled") done += 1;
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: done / seconds, cpuMicroseconds: (user + system) / done };
}
