// Starts the server twice, plain and accelerated, drives the same real traffic through the official client
// into both, slice by slice in turns, and prints how many times more the accelerated one does.
import { connect, type DemoClient } from "./clients.ts";
import { startServer, startUpstream, type ServerProcess } from "./processes.ts";
import { Progress } from "./progress.ts";
import { table } from "./table.ts";
import { scenarios, type Scenario, type World } from "./scenarios.ts";

const CLIENTS = 8;
const ROUNDS = 5;
const SLICE_MS = 400;
/** On a machine that is busy with other things, rounds are left out rather than the minute exceeded. */
const MEASURE_MS = 40_000;
const LEAST_ROUNDS = 3;
/** A plain server whose own rounds differ by more than this shares the machine with something else. */
const STEADY = 2;
const everythingOff = ["cache", "pool", "guard", "batch", "metrics"].flatMap((name) => [
  `--features-${name}`,
  "off",
]);

interface Side {
  readonly server: ServerProcess;
  readonly clients: readonly DemoClient[];
  readonly world: World;
}
type Row = Readonly<Record<RowTitle, string>>;
type RowTitle =
  | "traffic"
  | "plain"
  | "accelerated"
  | "ratio"
  | "spread"
  | "plain CPU"
  | "accelerated CPU";
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
const started = performance.now();
const progress = new Progress(scenarios.length * ROUNDS);
const rows: Row[] = [];
let unsteady = false;
for (const [index, scenario] of scenarios.entries())
  rows.push(await measure(scenario, ((index + 1) / scenarios.length) * MEASURE_MS));
progress.end();

console.log(
  `\n${CLIENTS} clients over HTTP, medians of up to ${ROUNDS} paired rounds of ${SLICE_MS} ms. The ratio is the median of the rounds'\nown ratios, so it need not be the quotient of the two medians; CPU is the server's, for one unit.\n`,
);
console.log(`${table(rows)}\n`);
if (unsteady)
  console.log("Other programs use this machine: the plain server's own rounds differ widely.\n");
await printCounters();
for (const side of [plain, accelerated]) await close(side);
await upstream.stop();

async function open(flags: readonly string[]): Promise<Side> {
  const server = await startServer(flags);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(server.url)));
  const { swarmId } = server;
  return { server, clients, world: { swarmId, upstreamUrl: upstream.url, staleReads: 0 } };
}

async function measure(scenario: Scenario, untilMs: number): Promise<Row> {
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
    if (round + 1 >= LEAST_ROUNDS && performance.now() - started > untilMs) break;
  }
  return toRow(scenario, slices.get(plain) ?? [], slices.get(accelerated) ?? []);
}

function toRow({ title, unit }: Scenario, slow: readonly Slice[], fast: readonly Slice[]): Row {
  const ratios = fast.map(
    ({ perSecond }, round) => perSecond / (slow[round]?.perSecond ?? Number.NaN),
  );
  const rates = slow.map(({ perSecond }) => perSecond);
  unsteady ||= Math.max(...rates) > STEADY * Math.min(...rates);
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
  const begun = performance.now();
  const worked = await Promise.all(
    clients.map(async ({ call }) => {
      let units = 0;
      while (performance.now() - begun < SLICE_MS) units += await step(call, world);
      return units;
    }),
  );
  const seconds = (performance.now() - begun) / 1_000;
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
