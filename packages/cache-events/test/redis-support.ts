import { createClient } from "@redis/client";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { canRun } from "../../../tools/services/find.ts";
import { FaultProxy } from "../../../tools/services/fault-proxy.ts";
import { redisProgram, startRedis } from "../../../tools/services/redis.ts";
import type { RedisOptions } from "../../../tools/services/redis.ts";
import type { TestServer } from "../../../tools/services/server.ts";
import { redisStore } from "../src/redis.ts";
import type { RedisReport, RedisStore, RedisStoreOptions } from "../src/redis.ts";

export function hasRedis(suite: string): boolean {
  return canRun(suite, "redis-server", redisProgram);
}

export async function serverOf(options?: RedisOptions): Promise<TestServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

export async function proxyOf(server: TestServer): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.stop());
  return proxy;
}

export type Commands = (...args: readonly string[]) => Promise<unknown>;

/** A client beside the store, to look and to interfere. */
export async function commandsOf({ port }: { readonly port: number }): Promise<Commands> {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.destroy());
  return (...args) => client.sendCommand([...args]);
}

/** How often the server has carried out a command since it started. */
export async function callsOf(commands: Commands, name: string): Promise<number> {
  const stats = String(await commands("INFO", "commandstats"));
  return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? "0");
}

export interface StoreInTest {
  readonly store: RedisStore;
  readonly reports: RedisReport[];
}

export function storeOf(
  { port }: { readonly port: number },
  options: Partial<RedisStoreOptions> = {},
): StoreInTest {
  const reports: RedisReport[] = [];
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  const store = redisStore({ client, onReport: (report) => reports.push(report), ...options });
  onTestFinished(() => store.close());
  return { store, reports };
}

export async function readyStore(
  at: { readonly port: number },
  options: Partial<RedisStoreOptions> = {},
): Promise<StoreInTest> {
  const made = storeOf(at, options);
  await made.store.ready();
  return made;
}

/** Waits for what another process or a server has yet to do; for at most ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`still not: ${holds.toString()}`);
    await delay(5);
  }
}

export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "fulfilled";
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}

export const dayMs = 86_400_000;

export async function move(
  store: RedisStore,
  fence: string,
  event?: string,
): Promise<string | undefined> {
  const moved = await store.moveFences([fence], {
    first: [],
    lifetimeMs: dayMs,
    ...(event === undefined ? {} : { event }),
  });
  return moved.get(fence);
}
