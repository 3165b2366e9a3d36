// What does a request through the pool cost, in CPU time of the client process, over undici's own pool?
import { parseArgs } from "node:util";
import { measurePaired } from "./paired.ts";
import type { Subject } from "./paired.ts";
import { percent, report } from "./report.ts";
import { cpuPerRequest, secondsPerRequest } from "./samples.ts";
import { BenchServer } from "./server.ts";
import { inverse } from "./statistics.ts";
import type { Interval } from "./statistics.ts";

const BASELINE = "Pool.dispatch";
const CONTROL = "Pool.dispatch again";
const CONCURRENCIES = [1, 50, 200, 500];
/** An A/A ratio further from 1 says that the machine is too busy to tell. */
const NOISE = 0.02;
const GOALS: Readonly<Record<number, number>> = { 50: 1.03, 200: 1, 500: 1 };

const subjects: readonly Subject[] = [
  { label: BASELINE, client: { name: "undici Pool.dispatch" } },
  { label: "ConnectionPool.dispatch", client: { name: "ConnectionPool.dispatch" } },
  { label: CONTROL, client: { name: "undici Pool.dispatch" } },
];

const { values } = parseArgs({
  options: { generations: { type: "string", default: "5" }, json: { type: "boolean" } },
});
const generations = Number(values.generations);
const server = await BenchServer.start({ kind: "light" });
const { samples, serverLoad } = await measurePaired(server, subjects, {
  generations,
  rounds: 18,
  concurrencies: CONCURRENCIES,
  sliceMs: (concurrency) => 15 + 0.1 * concurrency,
  warmUp: { durationMs: 600, minRequests: 10_000 },
});
await server.kill();

const rows = CONCURRENCIES.flatMap((concurrency) => {
  const control = samples.ratio(cpuPerRequest, CONTROL, BASELINE, concurrency);
  const noisy = Math.abs(control.mean - 1) > NOISE;
  return subjects.map(({ label }, index) => {
    const row = { c: concurrency, client: label, ...samples.row(label, concurrency) };
    if (index === 0) return row;
    const baseline = label === CONTROL ? BASELINE : [BASELINE, CONTROL];
    const cpu = samples.ratio(cpuPerRequest, label, baseline, concurrency);
    const goal = index === 1 ? GOALS[concurrency] : undefined;
    return {
      ...row,
      "CPU over Pool": percent(cpu.mean),
      "95 % from": percent(cpu.low),
      to: percent(cpu.high),
      "rate over Pool": percent(
        inverse(samples.ratio(secondsPerRequest, label, baseline, concurrency)).mean,
      ),
      ...(goal !== undefined && {
        goal: `to <= ${percent(goal)}`,
        verdict: noisy ? "noise" : verdict(cpu, goal),
      }),
    };
  });
});
report([
  {
    title: "cost: a GET over as many connections as requests at a time",
    rows,
    notes: [
      `Every client in a process of its own, ${generations} of them one after the other (--generations); intervals are those of their ratios.`,
      `Ratios are those over the mean of both rows of Pool; "${CONTROL}" over the other is the control: where it is more than ${100 * NOISE} % off, the verdict is noise.`,
      `The server was busy for ${Math.round(100 * serverLoad)} % of the time of one core.`,
    ],
  },
]);

function verdict({ low, high }: Interval, goal: number): string {
  if (high <= goal) return "met";
  return low > goal ? "missed" : "undecided";
}
