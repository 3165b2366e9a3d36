// One replica of five becomes slow: what do the callers see?
import { HEDGED, PEAK_EWMA, balancers } from "./balancers.ts";
import { openLoop } from "./open-loop.ts";
import type { Answer } from "./open-loop.ts";
import { SERVICE, startReplicas } from "./replicas.ts";
import { report, tidy } from "./report.ts";
import type { Row } from "./report.ts";
import { quantile } from "./statistics.ts";

const RATE = 400;
const SLOWER_MS = 500;
const WARM_UP_MS = 1000;
const HEALTHY_MS = 3000;
const SLOW_MS = 8000;
const GOAL = 2.5;

// All at the same time, so that every one of them meets the same noise; the replicas hardly have anything to do.
const replicas = await startReplicas();
const origins = replicas.map(({ origin }) => origin);
const subjects = Object.entries(balancers)
  .filter(([label]) => !label.endsWith("retry"))
  .map(([label, create]) => ({ label, dispatcher: create(origins) }));
await loadAll(WARM_UP_MS);
const healthy = await loadAll(HEALTHY_MS);
await replicas[0]?.command({ ...SERVICE, delayMs: SERVICE.delayMs + SLOWER_MS });
const slow = await loadAll(SLOW_MS);
await Promise.all(subjects.map(({ dispatcher }) => dispatcher.destroy()));
await Promise.all(replicas.map((replica) => replica.kill()));

const rows = subjects.map(({ label }, index): Row => {
  const before = summarize(healthy[index] ?? []);
  const after = summarize(slow[index] ?? []);
  const p99Ratio = after.p99 / before.p99;
  const p999Ratio = after.p999 / before.p999;
  const row = {
    balancer: label,
    "healthy p50 ms": tidy(before.p50),
    p99: tidy(before.p99),
    "p99.9": tidy(before.p999),
    "slow p50 ms": tidy(after.p50),
    "slow p99": tidy(after.p99),
    "slow p99.9": tidy(after.p999),
    failed: before.failed + after.failed,
    "p99 ratio": tidy(p99Ratio),
    "p99.9 ratio": tidy(p999Ratio),
  };
  if (label === PEAK_EWMA)
    return { ...row, goal: `p99 <= ${GOAL}x`, verdict: p99Ratio <= GOAL ? "met" : "missed" };
  if (label === HEDGED) {
    const met = p99Ratio <= GOAL && p999Ratio <= GOAL;
    return { ...row, goal: `p99, p99.9 <= ${GOAL}x`, verdict: met ? "met" : "missed" };
  }
  return row;
});
report([
  {
    title: `slow-replica: 1 of 5 becomes slower by ${SLOWER_MS} ms, ${RATE} requests/s of each, open loop`,
    rows,
    notes: [
      `A replica answers after ${SERVICE.delayMs} to ${SERVICE.delayMs + SERVICE.jitterMs} ms. The slow phase lasts ${SLOW_MS / 1000} s and begins with the change.`,
      "RoundRobinPool is behind a balancer of TCP connections, as it is meant to be.",
    ],
  },
]);

function loadAll(durationMs: number): Promise<Answer[][]> {
  return Promise.all(
    subjects.map(({ dispatcher }) => openLoop(dispatcher, { ratePerSecond: RATE, durationMs })),
  );
}

function summarize(answers: readonly Answer[]): {
  p50: number;
  p99: number;
  p999: number;
  failed: number;
} {
  const latencies = answers.filter(({ error }) => error === undefined).map((a) => a.latencyMs);
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    p999: quantile(latencies, 0.999),
    failed: answers.length - latencies.length,
  };
}
