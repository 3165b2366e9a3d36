// One replica of five is killed, stops, or fails fast: how many requests that could go elsewhere fail?
import { balancers } from "./balancers.ts";
import { openLoop } from "./open-loop.ts";
import type { Answer } from "./open-loop.ts";
import { SERVICE, restart, sleep, startReplicas } from "./replicas.ts";
import { report, tidy } from "./report.ts";
import type { Row } from "./report.ts";
import type { BenchServer } from "./server.ts";
import { quantile } from "./statistics.ts";

const RATE = 400;
const BEFORE_MS = 1000;
const AFTER_MS = 3000;

interface Fault {
  readonly name: string;
  strike(replica: BenchServer): unknown;
  /** Makes it whole again. */
  heal(replica: BenchServer): Promise<BenchServer>;
}

const faults: readonly Fault[] = [
  { name: "killed", strike: (replica) => replica.kill(), heal: restart },
  {
    name: "stopped",
    strike: (replica) => replica.stop(),
    heal: async (replica) => {
      replica.resume();
      return replica;
    },
  },
  {
    name: "failing fast",
    strike: (replica) => replica.command({ failing: true, delayMs: 0, jitterMs: 0 }),
    heal: async (replica) => {
      await replica.command({ ...SERVICE, failing: false });
      return replica;
    },
  },
];

const replicas = await startReplicas();
const rows: Row[] = [];
for (const fault of faults) rows.push(...(await meet(fault)));
await Promise.all(replicas.map((replica) => replica.kill()));
report([
  {
    title: `lost-replica: 1 of 5 is lost under ${RATE} GETs/s of each, open loop; ${AFTER_MS / 1000} s from then on`,
    rows,
    notes: ["No answer for 2 s counts as failed."],
  },
]);

async function meet(fault: Fault): Promise<Row[]> {
  const origins = replicas.map(({ origin }) => origin);
  const subjects = Object.entries(balancers).map(([label, create]) => ({
    label,
    dispatcher: create(origins),
  }));
  const loads = subjects.map(({ dispatcher }) =>
    openLoop(dispatcher, { ratePerSecond: RATE, durationMs: BEFORE_MS + AFTER_MS }),
  );
  await sleep(BEFORE_MS);
  const struckAt = performance.now();
  const [first] = replicas;
  if (first === undefined) throw new Error("there are no replicas");
  await fault.strike(first);
  const answers = await Promise.all(loads);
  await Promise.all(subjects.map(({ dispatcher }) => dispatcher.destroy()));
  replicas[0] = await fault.heal(first);
  return subjects.map(({ label }, index) => row(fault, label, answers[index] ?? [], struckAt));
}

function row(fault: Fault, label: string, answers: readonly Answer[], struckAt: number): Row {
  // What was under way then is hit too.
  const hit = answers.filter(({ at, latencyMs }) => at + latencyMs >= struckAt);
  const failed = hit.filter(({ error }) => error !== undefined);
  const latencies = hit
    .filter(({ error }) => error === undefined)
    .map((answer) => answer.latencyMs);
  const errors = [...new Set(failed.map(({ error }) => error))].join(", ");
  return {
    "the replica is": fault.name,
    balancer: label,
    requests: hit.length,
    failed: failed.length,
    "p99 ms": tidy(quantile(latencies, 0.99)),
    "longest ms": tidy(quantile(latencies, 1)),
    errors,
    ...(label.startsWith("group") && {
      goal: "0 failed",
      verdict: failed.length === 0 ? "met" : "missed",
    }),
  };
}
