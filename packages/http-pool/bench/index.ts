// What does a request through the pool cost, against undici's Pool, the global fetch and no pool at all?
// The server is another process on the loopback. Every round measures every rival once, in rotated order;
// a ratio is the median of the ratios within the rounds. `--json` prints JSON.
import { fork } from "node:child_process";
import { once } from "node:events";
import { Bench } from "tinybench";
import { createRivals } from "./rivals.ts";
import type { Rival } from "./rivals.ts";

const ROUNDS = 9;
const TASK_TIME_MS = 100;
const CONCURRENCIES = [1, 50];
/** Baseline first. */
const PAIRS = [
  ["undici Pool.dispatch", "pool.dispatch"],
  ["global fetch", "pool.fetch"],
  ["unpooled (connection: close)", "pool.fetch"],
  ["unpooled (connection: close)", "pool.dispatch"],
] as const;

interface Round {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
}
type Rounds = Map<string, Round[]>;

interface Result {
  readonly concurrency: number;
  readonly subject: string;
  readonly baseline: string;
  /** Requests/s of the subject over those of the baseline. */
  readonly throughputRatio: Spread;
  /** Median latency of the baseline over that of the subject: above 1 the subject is faster. */
  readonly latencyRatio: Spread;
}

interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const server = fork(new URL("server.ts", import.meta.url));
const [port] = (await once(server, "message")) as [number];
const results: Result[] = [];
const speeds: { concurrency: number; rival: string; requestsPerSecond: number; p50Ms: number }[] =
  [];
for (const concurrency of CONCURRENCIES) {
  const rivals = createRivals(`http://127.0.0.1:${port}`, concurrency);
  const rounds = await measure(rivals, concurrency);
  for (const [rival, all] of rounds) {
    const requestsPerSecond = median(all.map((round) => round.requestsPerSecond));
    speeds.push({ concurrency, rival, requestsPerSecond, p50Ms: median(all.map((r) => r.p50Ms)) });
  }
  for (const [baseline, subject] of PAIRS)
    results.push(compare(rounds, concurrency, subject, baseline));
  await Promise.all(rivals.map((rival) => rival.close()));
}
server.kill();
if (process.argv.includes("--json"))
  process.stdout.write(
    `${JSON.stringify({ node: process.version, rounds: ROUNDS, speeds, results })}\n`,
  );
else print();

async function measure(rivals: readonly Rival[], concurrency: number): Promise<Rounds> {
  const rounds: Rounds = new Map(rivals.map(({ name }) => [name, []]));
  for (let round = -1; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < rivals.length; turn += 1) {
      const rival = rivals[(turn + round + rivals.length) % rivals.length];
      if (rival === undefined) continue;
      const measured = await runTask(rival, concurrency);
      // The first round warms up.
      if (round >= 0) rounds.get(rival.name)?.push(measured);
    }
  }
  return rounds;
}

async function runTask(rival: Rival, concurrency: number): Promise<Round> {
  const bench = new Bench({ time: TASK_TIME_MS, iterations: 5, warmup: false });
  const latencies: number[] = [];
  const one = async (): Promise<void> => {
    const startedAt = performance.now();
    await rival.request();
    latencies.push(performance.now() - startedAt);
  };
  bench.add(rival.name, () => Promise.all(Array.from({ length: concurrency }, one)));
  const startedAt = performance.now();
  await bench.run();
  const seconds = (performance.now() - startedAt) / 1000;
  return { requestsPerSecond: latencies.length / seconds, p50Ms: median(latencies) };
}

function compare(rounds: Rounds, concurrency: number, subject: string, baseline: string): Result {
  const ours = rounds.get(subject) ?? [];
  const theirs = rounds.get(baseline) ?? [];
  const ratio = (of: (a: Round, b: Round) => number): Spread =>
    spread(ours.map((round, index) => of(round, theirs[index] ?? round)));
  return {
    concurrency,
    subject,
    baseline,
    throughputRatio: ratio((a, b) => a.requestsPerSecond / b.requestsPerSecond),
    latencyRatio: ratio((a, b) => b.p50Ms / a.p50Ms),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: median(values), low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0 };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function print(): void {
  const lines = [
    `node ${process.version}, ${ROUNDS} rounds, ratio (lowest to highest of the rounds)`,
  ];
  for (const { concurrency, rival, requestsPerSecond, p50Ms } of speeds)
    lines.push(
      `c=${concurrency}  ${rival}: ${Math.round(requestsPerSecond)}/s, p50 ${p50Ms.toFixed(3)} ms`,
    );
  for (const { concurrency, subject, baseline, throughputRatio, latencyRatio } of results)
    lines.push(
      `c=${concurrency}  ${subject} over ${baseline}: ${show(throughputRatio)} requests/s, ${show(latencyRatio)} lower p50`,
    );
  process.stdout.write(`${lines.join("\n")}\n`);
}

function show({ median: middle, low, high }: Spread): string {
  return `${middle.toFixed(2)}x (${low.toFixed(2)} to ${high.toFixed(2)})`;
}
