// What does an item cost when 100,000 are queued at 4 priorities, from adding to its result, against p-queue?
import { BatchProcessor } from "@mcp-accel/batcher";
import PQueue from "p-queue";
import { median, spread, tidy } from "./measure.ts";
import { report } from "./report.ts";

const queued = 100_000;
const priorities = 4;
const rounds = 5;
const items = Array.from({ length: queued }, (_, index) => index);

interface Subject {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

const subjects: Subject[] = [
  { name: "p-queue", run: viaQueue },
  { name: "batcher.add", run: viaBatcher },
];
const times = subjects.map((): { ms: number; cpuMs: number }[] => []);
for (let round = 0; round < rounds; round++)
  for (let turn = 0; turn < subjects.length; turn++) {
    const index = (turn + round) % subjects.length;
    const before = process.cpuUsage();
    const started = performance.now();
    await subjects[index]?.run();
    const ms = performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    times[index]?.push({ ms, cpuMs: (user + system) / 1_000 });
  }
const perItem = (ms: number): number => tidy((ms * 1_000) / queued);
report([
  {
    title: `${queued} items queued at ${priorities} priorities, ${rounds} rounds; ratio: how many times faster than p-queue in the same round`,
    rows: subjects.map(({ name }, index) => {
      const own = times[index] ?? [];
      return {
        name,
        microseconds: perItem(median(own.map(({ ms }) => ms))),
        cpuMicroseconds: perItem(median(own.map(({ cpuMs }) => cpuMs))),
        ...spread(own.map(({ ms }, round) => (times[0]?.[round]?.ms ?? Number.NaN) / ms)),
      };
    }),
  },
]);

async function viaQueue(): Promise<unknown> {
  const queue = new PQueue({ concurrency: 4, autoStart: false });
  const all = items.map((item) => queue.add(async () => item, { priority: item % priorities }));
  queue.start();
  return Promise.all(all);
}

async function viaBatcher(): Promise<unknown> {
  const batcher = new BatchProcessor<number, number>(async (batch) => [...batch], {
    queueLimit: queued,
  });
  batcher.pause();
  const all = items.map((item) => batcher.add(item, { priority: item % priorities }));
  batcher.resume();
  return Promise.all(all);
}
