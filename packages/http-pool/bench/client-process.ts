// One client in a process of its own: it shares neither heap nor compiled code with its rivals.
import { answer } from "./child.ts";
import { createClient } from "./clients.ts";
import type { Client, ClientOptions } from "./clients.ts";
import type { Slice } from "./paired.ts";
import type { Sample } from "./samples.ts";
import { quantile } from "./statistics.ts";

const base = JSON.parse(process.argv[2] ?? "{}") as Omit<ClientOptions, "connections">;
let client: Client | undefined;
let connections = 0;

answer("ready", async (slice: Slice): Promise<Sample> => {
  if (client === undefined || connections !== slice.concurrency) {
    await client?.close();
    connections = slice.concurrency;
    client = createClient({ ...base, connections });
  }
  return run(client, slice);
});

async function run(
  sender: Client,
  { concurrency, durationMs, minRequests = 0 }: Slice,
): Promise<Sample> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + durationMs;
  let running = concurrency;
  await new Promise<void>((resolve, reject) => {
    const loop = (): void => {
      const sentAt = performance.now();
      sender.send((error) => {
        if (error !== undefined) reject(error);
        const now = performance.now();
        latencies.push(now - sentAt);
        if (now < endsAt || latencies.length < minRequests) loop();
        else if (--running === 0) resolve();
      });
    };
    for (let index = 0; index < concurrency; index += 1) loop();
  });
  const { user, system } = process.cpuUsage(cpu);
  return {
    requests: latencies.length,
    seconds: (performance.now() - startedAt) / 1000,
    cpuMicroseconds: user + system,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}
