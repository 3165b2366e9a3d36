// How many calls does it take to find one poison item of 256, at every place, against plain bisection and one by one?
import { BatchProcessor } from "@mcp-accel/batcher";
import { report } from "./report.ts";

const size = 256;
const items = Array.from({ length: size }, (_, index) => index);

interface Found {
  readonly calls: number;
  readonly succeeded: number;
}

const methods: readonly (readonly [string, (bad: number) => Promise<Found>])[] = [
  ["batcher", viaBatcher],
  ["plain bisection", viaBisection],
  ["one by one", viaSingles],
];
const rows = [];
for (const [name, find] of methods) {
  const found: Found[] = [];
  for (const bad of items) found.push(await find(bad));
  const calls = found.map((each) => each.calls);
  rows.push({
    name,
    "calls, mean": calls.reduce((sum, each) => sum + each) / size,
    "calls, most": Math.max(...calls),
    "succeeded, least": Math.min(...found.map(({ succeeded }) => succeeded)),
  });
}
report([{ title: `One poison item of ${size}, at each of the ${size} places`, rows }]);

/** Fails as a whole when the bad item is among them. */
function backend(bad: number) {
  let calls = 0;
  const call = async (batch: readonly number[]): Promise<number[]> => {
    calls += 1;
    if (batch.includes(bad)) throw new Error("poison");
    return [...batch];
  };
  return { call, calls: (): number => calls };
}

async function viaBatcher(bad: number): Promise<Found> {
  const { call, calls } = backend(bad);
  const options = { maxBatchSize: size, adaptiveSizing: false, idempotent: true };
  const batcher = new BatchProcessor<number, number>(call, options);
  const results = await batcher.processBatch(items);
  return {
    calls: calls(),
    succeeded: results.filter(({ status }) => status === "fulfilled").length,
  };
}

async function viaBisection(bad: number): Promise<Found> {
  const { call, calls } = backend(bad);
  const split = async (batch: readonly number[]): Promise<number> => {
    try {
      return (await call(batch)).length;
    } catch {
      if (batch.length === 1) return 0;
      const half = batch.length >> 1;
      return (await split(batch.slice(0, half))) + (await split(batch.slice(half)));
    }
  };
  return { succeeded: await split(items), calls: calls() };
}

/** The batch, and then its items one by one. */
async function viaSingles(bad: number): Promise<Found> {
  const { call, calls } = backend(bad);
  await call(items).catch(() => undefined);
  const results = await Promise.allSettled(items.map((item) => call([item])));
  return {
    calls: calls(),
    succeeded: results.filter(({ status }) => status === "fulfilled").length,
  };
}
