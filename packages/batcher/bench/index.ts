// What does an item cost in a burst of 1,000, against the usual ways to do it, and what does batching win when a call has a price?
import { AdaptiveController, BatchProcessor } from "@mcp-accel/batcher";
import DataLoader from "dataloader";
import PQueue from "p-queue";
import { Bench } from "tinybench";
import { backends, bestStatic, fixed, simulate } from "../test/support/simulator.ts";

const burst = 1_000;
const rounds = 9;
const roundMs = 120;

interface Contender {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

interface Comparison {
  readonly name: string;
  readonly microsecondsPerItem: number;
  /** Time against the first contender, median over the rounds. */
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}

const echo = async (items: readonly number[]) => [...items];
const items = Array.from({ length: burst }, (_, index) => index);
const loader = new DataLoader<number, number>(echo, { cache: false, maxBatchSize: 100 });
const batcher = new BatchProcessor<number, number>(echo);
const observed = new BatchProcessor<number, number>(echo);
let observedItems = 0;
observed.on("batch", ({ size }) => (observedItems += size));
const queue = new PQueue({ concurrency: 4 });

const overhead = await compare([
  { name: "DataLoader, no cache", run: () => Promise.all(items.map((item) => loader.load(item))) },
  { name: "batcher.add", run: () => Promise.all(items.map((item) => batcher.add(item))) },
  {
    name: "batcher.add, observed",
    run: () => Promise.all(items.map((item) => observed.add(item))),
  },
  { name: "batcher.processBatch", run: () => batcher.processBatch(items) },
  { name: "p-queue", run: () => Promise.all(items.map((item) => queue.add(async () => item))) },
  { name: "bare Promise.all", run: () => Promise.all(items.map(async (item) => item)) },
]);

/** A call has a price, whatever it carries: a turn of the event loop, of which four fit at once. */
const paid = async (values: readonly number[]) => {
  await new Promise((resolve) => setImmediate(resolve));
  return [...values];
};
const paidBatcher = new BatchProcessor<number, number>(paid);
const paidQueue = new PQueue({ concurrency: 4 });
const effect = await compare([
  { name: "batcher.add", run: () => Promise.all(items.map((item) => paidBatcher.add(item))) },
  {
    name: "p-queue, one by one",
    run: () => Promise.all(items.map((item) => paidQueue.add(() => paid([item])))),
  },
]);

const table = adaptiveTable();

if (process.argv.includes("--json")) {
  const node = process.version;
  console.log(JSON.stringify({ node, burst, rounds, overhead, effect, adaptive: table }));
} else {
  console.log(`Node ${process.version}, bursts of ${burst}, ${rounds} interleaved rounds`);
  console.log("\nOverhead of an item whose processor costs nothing, against DataLoader:");
  console.table(overhead);
  console.log("\nA call with a price, four at once, against batcher.add:");
  console.table(effect);
  console.log("\nThe adaptive controller in virtual time (5 minutes, 3 seeds, up to 1000 x 32):");
  console.table(table);
}
if (observedItems === 0) throw new Error("nothing was observed");

async function compare(contenders: readonly Contender[]): Promise<Comparison[]> {
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    const bench = new Bench({ time: roundMs, warmupTime: 20, iterations: 5 });
    for (const { name, run } of contenders) bench.add(name, run);
    await bench.run();
    for (const [index, { result }] of bench.tasks.entries()) {
      if (result.state !== "completed")
        throw new Error(`${contenders[index]?.name} did not complete`);
      times[index]?.push(result.latency.p50);
    }
  }
  const [reference = []] = times;
  return contenders.map(({ name }, index) => {
    const own = times[index] ?? [];
    const ratios = own.map((time, round) => time / (reference[round] ?? 1)).toSorted(ascending);
    return {
      name,
      microsecondsPerItem: rounded((median(own) * 1_000) / burst),
      ratio: rounded(median(ratios)),
      least: rounded(ratios[0] ?? 0),
      most: rounded(ratios.at(-1) ?? 0),
    };
  });
}

function adaptiveTable() {
  const options = { durationMs: 300_000, noise: 0.2 };
  return backends.map((backend) => {
    const best = bestStatic(backend, 1_000, 32, { ...options, seed: 1, durationMs: 20_000 });
    const runs = [1, 2, 3].map((seed) => {
      const home = { size: 100, concurrency: 4, lingerMs: 0 };
      const limits = { maxBatchSize: 1_000, maxConcurrentBatches: 32, home };
      const goodput = simulate(new AdaptiveController(limits), backend, { ...options, seed });
      const unchanged = simulate(fixed(100, 4), backend, { ...options, seed });
      return {
        ofBest: goodput / best,
        ofFixed: goodput / unchanged,
        fixedOfBest: unchanged / best,
      };
    });
    return {
      backend: backend.name,
      "share of best static, worst": rounded(Math.min(...runs.map(({ ofBest }) => ofBest))),
      "against fixed 100 x 4, worst": rounded(Math.min(...runs.map(({ ofFixed }) => ofFixed))),
      "fixed 100 x 4, share of best": rounded(median(runs.map(({ fixedOfBest }) => fixedOfBest))),
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted(ascending);
  return sorted[sorted.length >> 1] ?? 0;
}

function ascending(one: number, other: number): number {
  return one - other;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
