import { Child } from "./child.ts";
import type { ClientOptions } from "./clients.ts";
import { Samples } from "./samples.ts";
import type { Sample } from "./samples.ts";
import type { ServerCounts } from "./server.ts";
import { median } from "./statistics.ts";

export interface Slice {
  readonly concurrency: number;
  readonly durationMs: number;
  /** It goes on until so many were answered. */
  readonly minRequests?: number;
}

export interface Subject {
  readonly label: string;
  readonly client: Omit<ClientOptions, "connections" | "origin">;
}

export interface Plan {
  /** New processes for every subject; a confidence interval is that of their ratios. */
  readonly generations: number;
  /** Slices of each subject, within a generation and at each concurrency. */
  readonly rounds: number;
  readonly concurrencies: readonly number[];
  readonly sliceMs: (concurrency: number) => number;
  /** At least so long and so many requests of each client, until its code is compiled. */
  readonly warmUp: Pick<Required<Slice>, "durationMs" | "minRequests">;
}

/** What the clients talk to, and who counts for it. */
export interface MeasuredServer {
  readonly origin: string;
  counts(): Promise<ServerCounts>;
}

export interface Paired {
  readonly samples: Samples;
  /** How busy the server was, as a part of one core. */
  readonly serverLoad: number;
}

type Clients = ReadonlyMap<string, Child>;

/** One subject at a time, each a short slice, in an order that is rotated from round to round. */
export async function measurePaired(
  server: MeasuredServer,
  subjects: readonly Subject[],
  plan: Plan,
): Promise<Paired> {
  const samples = new Samples();
  const busy: number[] = [];
  for (let generation = 0; generation < plan.generations; generation += 1) {
    const clients = await startAll(server.origin, rotate(subjects, generation));
    await eachInTurn(clients, {
      concurrency: plan.concurrencies[1] ?? plan.concurrencies[0] ?? 1,
      ...plan.warmUp,
    });
    for (const concurrency of plan.concurrencies) {
      const slice: Slice = { concurrency, durationMs: plan.sliceMs(concurrency) };
      // Opens the connections.
      await eachInTurn(clients, { ...slice, durationMs: slice.durationMs / 2 });
      const before = await server.counts();
      const startedAt = performance.now();
      for (let round = 0; round < plan.rounds; round += 1) {
        for (const [label, client] of rotate([...clients], round))
          samples.add(label, concurrency, generation, await client.ask<Sample>(slice));
      }
      const { cpuMs } = await server.counts();
      busy.push((cpuMs - before.cpuMs) / (performance.now() - startedAt));
    }
    await Promise.all([...clients.values()].map((client) => client.kill()));
  }
  return { samples, serverLoad: median(busy) };
}

async function startAll(origin: string, subjects: readonly Subject[]): Promise<Clients> {
  const started = subjects.map(async ({ label, client }) => {
    const [child] = await Child.start("client-process.ts", [JSON.stringify({ ...client, origin })]);
    return [label, child] as const;
  });
  return new Map(await Promise.all(started));
}

async function eachInTurn(clients: Clients, slice: Slice): Promise<void> {
  for (const client of clients.values()) await client.ask<Sample>(slice);
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  const turned = [...items.slice(start), ...items.slice(0, start)];
  return by % 2 === 0 ? turned : turned.toReversed();
}
