// What do a JSON-RPC POST and its answer cost through a fetch of ours, against the global fetch and other clients?
import { parseArgs } from "node:util";
import type { ClientName } from "./clients.ts";
import { measurePaired } from "./paired.ts";
import { percent, report } from "./report.ts";
import { cpuPerRequest, p50, secondsPerRequest } from "./samples.ts";
import { BenchServer } from "./server.ts";
import { inverse } from "./statistics.ts";
import type { Interval } from "./statistics.ts";

const BASELINE = "global fetch";
const CONTROL = "global fetch again";
const CONCURRENCIES = [1, 50];
/** An A/A ratio further from 1 says that the machine is too busy to tell such a difference. */
const NOISE = 0.02;
const clients: readonly ClientName[] = [
  "mcpFetch",
  "pool.fetch",
  "undici.fetch, Agent",
  "undici.request, Agent",
  "undici Pool.request",
  "node:http, keepAlive",
  "agentkeepalive",
];

const subjects = [
  { label: BASELINE, client: { name: BASELINE } },
  ...clients.map((name) => ({ label: name, client: { name } })),
  { label: CONTROL, client: { name: BASELINE } },
] as const;
const { values } = parseArgs({
  options: { generations: { type: "string", default: "4" }, json: { type: "boolean" } },
});
const generations = Number(values.generations);
const server = await BenchServer.start({ kind: "light" });
const { samples, serverLoad } = await measurePaired(server, subjects, {
  generations,
  rounds: 3,
  concurrencies: CONCURRENCIES,
  sliceMs: () => 60,
  warmUp: { durationMs: 400, minRequests: 2500 },
});
await server.kill();

const rows = CONCURRENCIES.flatMap((concurrency) => {
  return subjects.map(({ label }) => {
    const row = { c: concurrency, client: label, ...samples.row(label, concurrency) };
    if (label === BASELINE) return row;
    const faster = inverse(samples.ratio(secondsPerRequest, label, BASELINE, concurrency));
    const cpu = samples.ratio(cpuPerRequest, label, BASELINE, concurrency);
    return {
      ...row,
      "rate over fetch": times(faster),
      "CPU over fetch": times(cpu),
      "p50 over fetch": times(samples.ratio(p50, label, BASELINE, concurrency)),
      ...(label === "mcpFetch" && {
        goal: ">= 3x at <= 0.35x CPU",
        verdict: verdict(faster, cpu),
      }),
    };
  });
});
const controls = CONCURRENCIES.map((concurrency) => {
  const { mean } = samples.ratio(cpuPerRequest, CONTROL, BASELINE, concurrency);
  const noise = Math.abs(mean - 1) > NOISE ? `, noise beyond ${100 * NOISE} %` : "";
  return `c = ${concurrency}: ${percent(mean)}${noise}`;
});
report([
  {
    title: "fetch: a JSON-RPC POST and its JSON answer, parsed; 95 % intervals in brackets",
    rows,
    notes: [
      `Every client in a process of its own, ${generations} of them one after the other (--generations).`,
      `A/A, "${CONTROL}" over "${BASELINE}", in CPU: ${controls.join("; ")}.`,
      `The server was busy for ${Math.round(100 * serverLoad)} % of the time of one core.`,
    ],
  },
]);

function times({ mean, low, high }: Interval): string {
  return `${mean.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

function verdict(faster: Interval, cpu: Interval): string {
  if (faster.low >= 3 && cpu.high <= 0.35) return "met";
  return faster.high < 3 || cpu.low > 0.35 ? "missed" : "undecided";
}
