// What does a request through the pool cost, in CPU time of the client process, over undici's own pool?
import { cpuPerRequest, measurePaired, rate } from "./paired.ts";
import type { Subject } from "./paired.ts";
import { percent, report } from "./report.ts";
import { BenchServer } from "./server.ts";

const CONCURRENCIES = [1, 50, 200, 500];
/** An A/A ratio further from 1 says that the machine is too busy to tell. */
const NOISE = 0.02;
const GOALS: Readonly<Record<number, number>> = { 50: 1.03, 200: 1, 500: 1 };

const subjects: readonly Subject[] = [
  { label: "Pool.dispatch", client: { name: "undici Pool.dispatch" } },
  { label: "ConnectionPool.dispatch", client: { name: "ConnectionPool.dispatch" } },
  { label: "Pool.dispatch again", client: { name: "undici Pool.dispatch" } },
];

const server = await BenchServer.start({ kind: "light" });
const paired = await measurePaired(server, subjects, {
  generations: 6,
  rounds: 12,
  concurrencies: CONCURRENCIES,
  sliceMs: (concurrency) => 15 + 0.1 * concurrency,
  warmUpRequests: 12_000,
});
await server.kill();

const rows = CONCURRENCIES.flatMap((concurrency) => {
  const control = paired.ratio(cpuPerRequest, "Pool.dispatch again", "Pool.dispatch", concurrency);
  const noisy = Math.abs(control.mean - 1) > NOISE;
  return subjects.map(({ label }, index) => {
    const row = { c: concurrency, client: label, ...paired.row(label, concurrency) };
    if (index === 0) return row;
    const cpu = paired.ratio(cpuPerRequest, label, "Pool.dispatch", concurrency);
    const goal = index === 1 ? GOALS[concurrency] : undefined;
    const verdict = noisy ? "noise" : cpu.high <= (goal ?? 0) ? "met" : "missed";
    return {
      ...row,
      "CPU over Pool": percent(cpu.mean),
      "95 % from": percent(cpu.low),
      to: percent(cpu.high),
      "rate over Pool": percent(paired.ratio(rate, label, "Pool.dispatch", concurrency).mean),
      ...(goal !== undefined && { goal: `to <= ${percent(goal)}`, verdict }),
    };
  });
});
report([
  {
    title: "cost: a GET over as many connections as requests at a time",
    rows,
    notes: [
      "Every client in a process of its own, six of them one after the other; intervals are those of the six ratios.",
      `"Pool.dispatch again" is the control: where it is more than ${100 * NOISE} % off, the verdict is noise.`,
      `The server was busy for ${Math.round(100 * paired.serverLoad)} % of the time of one core.`,
    ],
  },
]);
