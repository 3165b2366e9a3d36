// How often is a connection used again: under steady load, and when calls are seconds apart?
import { createClient } from "./clients.ts";
import type { Client, ClientName, ClientOptions } from "./clients.ts";
import { report, tidy } from "./report.ts";
import type { Row } from "./report.ts";
import { BenchServer } from "./server.ts";

const STEADY_REQUESTS = 40_000;
const CONCURRENCY = 20;
const APART_SECONDS = [1, 3.5, 10];
/** Separate clients that each call, wait, and call again: at most so often, and for no longer than this. */
const CALLERS = 40;
const APART_MS = 21_000;

interface Subject {
  readonly label: string;
  readonly name: ClientName;
  readonly pool?: object;
}

const rivals: readonly Subject[] = [
  { label: "undici Pool", name: "undici Pool.dispatch" },
  { label: "undici Agent", name: "undici Agent.dispatch" },
  { label: "node:http, keepAlive", name: "node:http, keepAlive" },
  { label: "agentkeepalive", name: "agentkeepalive" },
];
const ours: readonly Subject[] = [
  {
    label: "ConnectionPool, keepAlivePath",
    name: "ConnectionPool.dispatch",
    pool: { keepAlivePath: "/" },
  },
  { label: "ConnectionPool, minIdle 1", name: "ConnectionPool.dispatch", pool: { minIdle: 1 } },
  { label: "ConnectionPool", name: "ConnectionPool.dispatch" },
];

const apart = await measureApart([...ours, ...rivals]);
const steady: Row[] = [];
for (const subject of [...ours.slice(-1), ...rivals]) steady.push(await measureSteady(subject));
report([
  { title: `reuse: ${STEADY_REQUESTS} requests, ${CONCURRENCY} at a time`, rows: steady },
  {
    title: "reuse: calls that are seconds apart, Node's own server with its defaults",
    rows: apart,
    notes: [
      `Calls after the first that found a connection open, of all such calls of ${CALLERS} clients, in real time.`,
    ],
  },
]);

async function measureSteady({ label, name }: Subject): Promise<Row> {
  const server = await BenchServer.start({ kind: "light" });
  const client = createClient({ name, origin: server.origin, connections: CONCURRENCY });
  let left = STEADY_REQUESTS;
  const loop = async (): Promise<void> => {
    while (left-- > 0) await send(client);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, loop));
  const { requests, connections } = await server.counts();
  const counted = (requests - connections) / requests;
  const stats = client.reuse?.();
  await client.close();
  await server.kill();
  const row = { client: label, requests, connections, "reuse %": fixed(counted) };
  if (stats === undefined) return row;
  const equal = stats.requests === requests && stats.requests - stats.reused === connections;
  return {
    ...row,
    "its own count %": fixed(stats.reused / stats.requests),
    goal: ">= 99.9 %, counts equal",
    verdict: counted >= 0.999 && equal ? "met" : "missed",
  };
}

async function measureApart(subjects: readonly Subject[]): Promise<Row[]> {
  return Promise.all(
    subjects.map(async (subject) => {
      const cells = await Promise.all(
        APART_SECONDS.map(async (seconds) => {
          const share = await callApart(subject, seconds);
          return [`${seconds} s apart %`, tidy(100 * share)] as const;
        }),
      );
      const row: Row = { client: subject.label, ...Object.fromEntries(cells) };
      if (subject !== ours[0]) return row;
      const met = cells.every(([, value]) => value >= 99);
      return { ...row, goal: ">= 99 %", verdict: met ? "met" : "missed" };
    }),
  );
}

/** Part of the calls after the first that found a connection open. */
async function callApart({ name, pool }: Subject, seconds: number): Promise<number> {
  const server = await BenchServer.start({ kind: "node" });
  const options: ClientOptions = {
    name,
    origin: server.origin,
    connections: 1,
    ...(pool !== undefined && { pool }),
  };
  const rounds = Math.floor(APART_MS / 1000 / seconds);
  const callers = Array.from({ length: CALLERS }, () => createClient(options));
  // A connection is new for a call when it was opened between the call before and the end of this one.
  let opened = 0;
  await Promise.all(callers.map(send));
  for (let round = 0; round < rounds; round += 1) {
    await sleep(1000 * seconds);
    const before = await server.counts();
    await Promise.all(callers.map(send));
    opened += (await server.counts()).connections - before.connections;
  }
  await Promise.all(callers.map((client) => client.close()));
  await server.kill();
  return 1 - opened / (rounds * CALLERS);
}

function send(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.send((error) => (error === undefined ? resolve() : reject(error)));
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function fixed(share: number): string {
  return (100 * share).toFixed(3);
}
