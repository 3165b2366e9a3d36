// Starts the server twice, plain and accelerated, drives the same real traffic through the official client
// into both, slice by slice in turns, and prints how many times more the accelerated one does.
import { connect, type DemoClient } from "./clients.ts";
import { startServer, startUpstream, type ServerProcess } from "./processes.ts";
import { Progress } from "./progress.ts";
import { scenarios, type Scenario, type World } from "./scenarios.ts";

const CLIENTS = 8;
const ROUNDS = 5;
const SLICE_MS = 500;
const everythingOff = ["cache", "pool", "guard", "batch", "metrics"].flatMap((name) => [
  `--features-${name}`,
  "off",
]);

interface Side {
  readonly server: ServerProcess;
  readonly clients: readonly DemoClient[];
  readonly world: World;
}
interface Row {
  readonly traffic: string;
  readonly plain: string;
  readonly accelerated: string;
  readonly ratio: string;
  readonly spread: string;
  readonly "plain CPU": string;
  readonly "accelerated CPU": string;
}
/** What one side did in one slice. */
interface Slice {
  readonly perSecond: number;
  readonly cpuMs: number;
}

const upstream = await startUpstream();
console.log(
  `Starting the server twice on ${process.version}: plain (every optimisation off) and accelerated.`,
);
const [plain, accelerated] = await Promise.all([open(everythingOff), open([])]);
const progress = new Progress(scenarios.length * ROUNDS);
const rows: Row[] = [];
for (const scenario of scenarios) rows.push(await measure(scenario));
progress.end();

console.log(
  `\n${CLIENTS} clients over HTTP, medians of ${ROUNDS} paired rounds of ${SLICE_MS} ms; CPU is the server's, for one unit:`,
);
console.table(rows);
await printCounters();
for (const side of [plain, accelerated]) await close(side);
await upstream.stop();

async function open(flags: readonly string[]): Promise<Side> {
  const server = await startServer(flags);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(server.url)));
  const { swarmId } = server;
  return { server, clients, world: { swarmId, upstreamUrl: upstream.url, staleReads: 0 } };
}

async function measure(scenario: Scenario): Promise<Row> {
  progress.begin(scenario.title);
  const slices = new Map<Side, Slice[]>([
    [plain, []],
    [accelerated, []],
  ]);
  for (let round = 0; round < ROUNDS; round += 1) {
    // Who goes first changes, so that neither side has the quieter half.
    const order = round % 2 === 0 ? [plain, accelerated] : [accelerated, plain];
    for (const side of order) slices.get(side)?.push(await slice(scenario, side));
    progress.step();
  }
  return toRow(scenario, slices.get(plain) ?? [], slices.get(accelerated) ?? []);
}

function toRow({ title, unit }: Scenario, slow: readonly Slice[], fast: readonly Slice[]): Row {
  const ratios = fast.map(
    ({ perSecond }, round) => perSecond / (slow[round]?.perSecond ?? Number.NaN),
  );
  const rate = (slices: readonly Slice[]): string =>
    `${Math.round(median(slices.map(({ perSecond }) => perSecond))).toLocaleString("en")} ${unit}/s`;
  const cpu = (slices: readonly Slice[]): string =>
    `${median(slices.map(({ cpuMs }) => cpuMs)).toFixed(2)} ms`;
  return {
    traffic: title,
    plain: rate(slow),
    accelerated: rate(fast),
    ratio: `${median(ratios).toFixed(1)}x`,
    spread: `${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)}`,
    "plain CPU": cpu(slow),
    "accelerated CPU": cpu(fast),
  };
}

/** All clients together repeat the scenario's step for the length of a slice. */
async function slice({ step }: Scenario, { clients, server, world }: Side): Promise<Slice> {
  const before = await server.stats();
  const started = performance.now();
  const worked = await Promise.all(
    clients.map(async ({ call }) => {
      let units = 0;
      while (performance.now() - started < SLICE_MS) units += await step(call, world);
      return units;
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  const { cpuSeconds } = await server.stats();
  const units = worked.reduce((sum, count) => sum + count, 0);
  return { perSecond: units / seconds, cpuMs: ((cpuSeconds - before.cpuSeconds) * 1_000) / units };
}

async function printCounters(): Promise<void> {
  const { cache, pool } = await accelerated.server.stats();
  console.log(`cache hit ratio     ${percent(cache.hitRatio)}`);
  console.log(`connection reuse    ${percent(pool.reuseRatio)}`);
  console.log(
    `stale reads seen    ${accelerated.world.staleReads} (plain: ${plain.world.staleReads})`,
  );
}

async function close({ server, clients }: Side): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
  await server.stop();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
