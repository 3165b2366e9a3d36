// Every replica fails, then all are back: how soon is the first success, and how many requests did the outage see?
import type { Dispatcher } from "undici";
import { PROBE_INTERVAL_MS, balancers } from "./balancers.ts";
import { ask, openLoop } from "./open-loop.ts";
import type { Answer } from "./open-loop.ts";
import { REPLICAS, restart, sleep, startReplicas } from "./replicas.ts";
import { report, tidy } from "./report.ts";
import type { Row } from "./report.ts";
import type { BenchServer } from "./server.ts";

const RATE = 400;
const BEFORE_MS = 1500;
const OUTAGE_MS = 3000;
const AFTER_MS = 4000;
const MAX_AMPLIFICATION = 1.2;
const names = [
  "undici BalancedPool",
  "undici BalancedPool, retry",
  "undici RoundRobinPool",
  "group, peak-ewma",
  "group, least-request",
];

report([
  {
    title: `outage: all ${REPLICAS} replicas are killed for ${OUTAGE_MS / 1000} s under ${RATE} GETs/s of each, then started again`,
    rows: await measureReturn(),
    notes: [
      `From when the last replica listens again. A request is sent every ${1000 / RATE} ms; the probe interval is ${PROBE_INTERVAL_MS} ms.`,
    ],
  },
  {
    title: `outage: all ${REPLICAS} replicas answer 503 at once for ${OUTAGE_MS / 1000} s`,
    rows: await measureAmplification(),
    notes: ["Requests that the replicas received over those that the caller sent."],
  },
]);

async function measureReturn(): Promise<Row[]> {
  let replicas = await startReplicas();
  const origins = replicas.map(({ origin }) => origin);
  const subjects = names.map((label) => ({ label, dispatcher: create(label, origins) }));
  const durationMs = BEFORE_MS + OUTAGE_MS + AFTER_MS;
  const loads = subjects.map(({ dispatcher }) =>
    openLoop(dispatcher, { ratePerSecond: RATE, durationMs }),
  );
  await sleep(BEFORE_MS);
  await Promise.all(replicas.map((replica) => replica.kill()));
  await sleep(OUTAGE_MS);
  replicas = await Promise.all(replicas.map(restart));
  const backAt = performance.now();
  const answers = await Promise.all(loads);
  const last = await Promise.all(subjects.map(({ dispatcher }) => ask(dispatcher)));
  await Promise.all(subjects.map(({ dispatcher }) => dispatcher.destroy()));
  await Promise.all(replicas.map((replica) => replica.kill()));
  return subjects.map(({ label }, index) =>
    returnRow(label, answers[index] ?? [], backAt, last[index]?.error ?? "ok"),
  );
}

function returnRow(label: string, answers: readonly Answer[], backAt: number, last: string): Row {
  const good = answers.filter(
    ({ at, latencyMs, error }) => error === undefined && at + latencyMs > backAt,
  );
  const firstMs = Math.min(...good.map(({ at, latencyMs }) => at + latencyMs - backAt));
  const after = answers.filter(({ at }) => at > backAt + PROBE_INTERVAL_MS);
  const failed = after.filter(({ error }) => error !== undefined).length;
  return {
    balancer: label,
    "first success ms": good.length > 0 ? tidy(firstMs) : "never",
    "failed later than a probe interval": `${failed} of ${after.length}`,
    "one more request": last,
    ...(label.startsWith("group") && {
      goal: `<= ${PROBE_INTERVAL_MS} ms`,
      verdict: firstMs <= PROBE_INTERVAL_MS ? "met" : "missed",
    }),
  };
}

async function measureAmplification(): Promise<Row[]> {
  return Promise.all(
    names.map(async (label) => {
      const replicas = await startReplicas();
      const dispatcher = create(
        label,
        replicas.map(({ origin }) => origin),
      );
      await openLoop(dispatcher, { ratePerSecond: RATE, durationMs: BEFORE_MS });
      await Promise.all(replicas.map((replica) => replica.command({ failing: true })));
      const before = await received(replicas);
      const sent = await openLoop(dispatcher, { ratePerSecond: RATE, durationMs: OUTAGE_MS });
      const requests = (await received(replicas)) - before;
      await dispatcher.destroy();
      await Promise.all(replicas.map((replica) => replica.kill()));
      const amplification = requests / sent.length;
      return {
        balancer: label,
        sent: sent.length,
        received: requests,
        amplification: tidy(amplification),
        ...(label.startsWith("group") && {
          goal: `<= ${MAX_AMPLIFICATION}x`,
          verdict: amplification <= MAX_AMPLIFICATION ? "met" : "missed",
        }),
      };
    }),
  );
}

function create(label: string, origins: readonly string[]): Dispatcher {
  const found = balancers[label];
  if (found === undefined) throw new Error(`${label} is none of the balancers`);
  return found(origins);
}

async function received(replicas: readonly BenchServer[]): Promise<number> {
  const counts = await Promise.all(replicas.map((replica) => replica.counts()));
  return counts.reduce((sum, { requests }) => sum + requests, 0);
}
