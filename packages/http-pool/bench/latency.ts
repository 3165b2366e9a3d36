// How much sooner is an answer there over TLS when the connection is open already: on the loopback, and 10 ms away?
import { Child } from "./child.ts";
import type { ClientName } from "./clients.ts";
import { measurePaired } from "./paired.ts";
import type { Plan } from "./paired.ts";
import { report } from "./report.ts";
import type { Table } from "./report.ts";
import { p50 } from "./samples.ts";
import { BenchServer } from "./server.ts";

const OURS = "ConnectionPool.dispatch";
const clients: readonly ClientName[] = [
  OURS,
  "undici Pool.dispatch",
  "node:https, keepAlive",
  "node:https, no pool",
  "node:https, no pool, TLS resumed",
];
const ONE_WAY_MS = 10;

const server = await BenchServer.start({ kind: "tls" });
const [proxy, port] = await Child.start<number>("tcp-proxy-process.ts", [
  JSON.stringify({ port: server.port, oneWayMs: ONE_WAY_MS }),
]);
const near = await measure("latency: TLS on the loopback, one request at a time", 8, {
  origin: server.origin,
  rounds: 5,
  sliceMs: 60,
  warmUp: { durationMs: 200, minRequests: 100 },
});
const far = await measure(
  `latency: TLS through a proxy that is ${ONE_WAY_MS} ms away, a round trip of ${2 * ONE_WAY_MS} ms`,
  2.9,
  {
    origin: `https://127.0.0.1:${port}`,
    rounds: 2,
    sliceMs: 400,
    warmUp: { durationMs: 1, minRequests: 3 },
  },
);
await proxy.kill();
await server.kill();
report([
  near,
  {
    ...far,
    notes: ["A new connection costs a round trip for TCP and one for TLS 1.3, as it would there."],
  },
]);

async function measure(
  title: string,
  goal: number,
  { origin, ...plan }: Pick<Plan, "rounds" | "warmUp"> & { origin: string; sliceMs: number },
): Promise<Table> {
  const subjects = clients.map((name) => ({ label: name, client: { name } }));
  const { samples } = await measurePaired({ origin, counts: () => server.counts() }, subjects, {
    generations: 2,
    ...plan,
    concurrencies: [1],
    sliceMs: () => plan.sliceMs,
  });
  const rows = clients.map((label) => {
    const row = { client: label, ...samples.row(label, 1) };
    if (!label.includes("no pool")) return row;
    const lower = 1 / samples.ratio(p50, OURS, label, 1).mean;
    return {
      ...row,
      "p50 over ConnectionPool": `${lower.toFixed(1)}x`,
      ...(!label.includes("resumed") && {
        goal: `>= ${goal}x`,
        verdict: lower >= goal ? "met" : "missed",
      }),
    };
  });
  return { title, rows };
}
