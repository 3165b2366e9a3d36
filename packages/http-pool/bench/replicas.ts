import { BenchServer } from "./server.ts";

export const REPLICAS = 5;

/** Like a real service's: 10 ms, and up to 5 ms more. */
export const SERVICE = { delayMs: 10, jitterMs: 5 } as const;

export async function startReplicas(): Promise<BenchServer[]> {
  const starts = Array.from({ length: REPLICAS }, () => BenchServer.start({ kind: "light" }));
  const replicas = await Promise.all(starts);
  await Promise.all(replicas.map((replica) => replica.command(SERVICE)));
  return replicas;
}

/** On the port that it had. */
export async function restart({ port }: BenchServer): Promise<BenchServer> {
  const replica = await BenchServer.start({ kind: "light", port });
  await replica.command(SERVICE);
  return replica;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
