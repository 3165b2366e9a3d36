// How much later does a lone item come back through an idle batcher than from the processor itself?
import { BatchProcessor } from "@mcp-accel/batcher";
import DataLoader from "dataloader";
import { AsyncBatcher } from "@tanstack/pacer";
import { quantile, tidy } from "./measure.ts";
import { report } from "./report.ts";

const samples = 4_000;
/** A call takes one turn of the event loop. */
const call = async (items: readonly number[]): Promise<number[]> => {
  await new Promise((resolve) => setImmediate(resolve));
  return [...items];
};

const batcher = new BatchProcessor<number, number>(call, { lingerMs: 20 });
const loader = new DataLoader<number, number>(call, { cache: false });
const subjects: { readonly name: string; readonly run: (item: number) => Promise<unknown> }[] = [
  { name: "the processor itself", run: (item) => call([item]) },
  { name: "batcher.add, lingerMs 20", run: (item) => batcher.add(item) },
  { name: "DataLoader", run: (item) => loader.load(item) },
  { name: "AsyncBatcher, wait 20", run: viaPacer },
];
const times = subjects.map((): number[] => []);
for (let sample = 0; sample < samples; sample++)
  for (const [index, { run }] of subjects.entries()) {
    // The last one always takes 20 ms: a few of them tell as much.
    if (index === 3 && sample % 50 > 0) continue;
    const started = performance.now();
    await run(sample);
    times[index]?.push(performance.now() - started);
  }
const at = (index: number, share: number): number => quantile(times[index] ?? [], share);
report([
  {
    title: "Milliseconds for a lone item, and how many more than without a batcher, interleaved",
    rows: subjects.map(({ name }, index) => ({
      name,
      p50: tidy(at(index, 0.5)),
      p99: tidy(at(index, 0.99)),
      "added p50": tidy(at(index, 0.5) - at(0, 0.5)),
      "added p99": tidy(at(index, 0.99) - at(0, 0.99)),
    })),
  },
]);

function viaPacer(item: number): Promise<unknown> {
  return new Promise((resolve) => {
    const pacer = new AsyncBatcher<number>((items) => call(items), {
      wait: 20,
      onSuccess: resolve,
    });
    void pacer.addItem(item);
  });
}
