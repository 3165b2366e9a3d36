import { ConnectionPool } from "@mcp-accel/http-pool";
import { Agent, Pool } from "undici";
import type { Dispatcher } from "undici";
import { answer } from "./child.ts";
import { tidy } from "./report.ts";

export interface BurstOptions {
  readonly kind: "ours" | "pool" | "agent";
  readonly connections?: number;
}

export interface BurstResult {
  readonly failed: number;
  readonly seconds: number;
  readonly clients: number;
  readonly heapBefore: number;
  readonly heapAfter: number;
  readonly rssBefore: number;
  readonly rssAfter: number;
}

interface Settings extends BurstOptions {
  readonly origin: string;
  readonly requests: number;
  readonly quietMs: number;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as Settings;
const dispatcher = create(settings);

answer("ready", async (): Promise<BurstResult> => {
  // Warm, so that code and the first connection are not what the burst leaves behind.
  await burst(200);
  const before = await memory();
  const startedAt = performance.now();
  const failed = await burst(settings.requests);
  const seconds = tidy((performance.now() - startedAt) / 1000);
  await new Promise((resolve) => {
    setTimeout(resolve, settings.quietMs);
  });
  const after = await memory();
  return {
    failed,
    seconds,
    clients: keptClients(),
    heapBefore: before.heap,
    heapAfter: after.heap,
    rssBefore: before.rss,
    rssAfter: after.rss,
  };
});

function create({ kind, origin, connections, requests }: Settings): Dispatcher {
  if (kind === "ours")
    return new ConnectionPool(origin, {
      ...(connections !== undefined && { maxConnections: connections }),
      maxIdle: 8,
      queueLimit: requests,
      queueTimeoutMs: 30_000,
    });
  if (kind === "agent") return new Agent({ allowH2: false });
  return new Pool(origin, { connections: connections ?? null, allowH2: false });
}

async function burst(requests: number): Promise<number> {
  const answers = await Promise.all(Array.from({ length: requests }, succeeds));
  return answers.filter((ok) => !ok).length;
}

async function succeeds(): Promise<boolean> {
  try {
    const { origin } = settings;
    const { body } = await dispatcher.request({ origin, path: "/", method: "GET" });
    await body.dump();
    return true;
  } catch {
    return false;
  }
}

async function memory(): Promise<{ heap: number; rss: number }> {
  for (let times = 0; times < 3; times += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: tidy(heapUsed / 2 ** 20), rss: tidy(rss / 2 ** 20) };
}

/** Undici keeps them in a list under a symbol. */
function keptClients(): number {
  if (dispatcher instanceof ConnectionPool) return dispatcher.stats().open;
  return countClients(dispatcher);
}

function countClients(of: object): number {
  let count = 0;
  for (const symbol of Object.getOwnPropertySymbols(of)) {
    if (symbol.description !== "clients") continue;
    const clients: unknown = Reflect.get(of, symbol);
    if (Array.isArray(clients)) count += clients.length;
    else if (clients instanceof Map)
      for (const entry of clients.values() as Iterable<{ dispatcher?: object }>)
        count += countClients(entry.dispatcher ?? entry);
  }
  return count;
}
