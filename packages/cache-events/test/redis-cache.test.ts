import { describe, expect, onTestFinished, test } from "vitest";
import type { FaultProxy } from "../../../tools/services/fault-proxy.ts";
import type { TestServer } from "../../../tools/services/server.ts";
import type { EventCacheOptions } from "../src/index.ts";
import { EventCache } from "../src/index.ts";
import { RedisConnection } from "../src/redis-connection.ts";
import {
  commandsOf,
  hasRedis,
  move,
  outcome,
  proxyOf,
  readyStore,
  serverOf,
  until,
} from "./redis-support.ts";
import { counter } from "./strict-process.ts";

interface CacheInTest {
  readonly cache: EventCache;
  readonly proxy: FaultProxy;
}

async function cacheOn(server: TestServer, options: EventCacheOptions = {}): Promise<CacheInTest> {
  const proxy = await proxyOf(server);
  const { store } = await readyStore(proxy, { leaseMs: 60_000 });
  const cache = new EventCache({
    store,
    rules: { agentCreated: () => ["agents"] },
    random: () => 0,
    ...options,
  });
  onTestFinished(() => cache.close());
  await store.ready();
  return { cache, proxy };
}

/** How many commands `access` sends, and in how many pieces. */
async function wire(
  proxy: FaultProxy,
  access: () => Promise<unknown>,
): Promise<{ readonly commands: number; readonly pieces: number }> {
  const chunks: string[] = [];
  proxy.onRequest = (chunk) => {
    if (!chunk.includes("XREAD") && !chunk.includes("XREVRANGE")) chunks.push(String(chunk));
  };
  await access();
  proxy.onRequest = undefined;
  const commands = chunks.join("").match(/\*\d+\r\n\$/g) ?? [];
  return { commands: commands.length, pieces: chunks.length };
}

describe.skipIf(!hasRedis("Redis cache"))(
  "a cache on a store in Redis",
  { timeout: 20_000 },
  () => {
    test("asks once for a hit with declared tags, twice with tags from the compute, and not at all when mirrored", async () => {
      const server = await serverOf();
      const { cache, proxy } = await cacheOn(server);
      const { compute } = counter();
      const declared = (): Promise<number> => cache.getOrSet("a", compute, { tags: ["x", "y"] });
      const late = (): Promise<number> =>
        cache.getOrSet("b", ({ tag }) => {
          tag("x");
          return compute();
        });
      await declared();
      await late();
      // With each piece goes the question who answers it.
      expect(await wire(proxy, declared)).toEqual({ commands: 2, pieces: 1 });
      expect(await wire(proxy, late)).toEqual({ commands: 4, pieces: 2 });
      expect(await wire(proxy, () => cache.invalidateByTags(["x", "y"]))).toEqual({
        commands: 2,
        pieces: 1,
      });
      const mirrored = await cacheOn(server, { consistency: "mirrored" });
      const read = (): Promise<number> =>
        mirrored.cache.getOrSet("c", compute, { tags: ["x", "y"] });
      await until(async () => (await wire(mirrored.proxy, read)).commands === 0);
      expect(await wire(mirrored.proxy, read)).toEqual({ commands: 0, pieces: 0 });
      expect(mirrored.cache.peek("c")).toBe(await read());
    });

    test("hears what another process emits, with its fences moved already, and its own once", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([
        cacheOn(server),
        cacheOn(server, { consistency: "mirrored" }),
      ]);
      const { compute } = counter();
      const read = (): Promise<number> =>
        there.cache.getOrSet("agents", compute, { tags: ["agents"] });
      const before = await read();
      await until(async () => {
        await read();
        return there.cache.peek("agents") !== undefined;
      });
      const heard: unknown[] = [];
      there.cache.bus.on("agentCreated", async (event) => {
        heard.push(event, there.cache.peek("agents"), await read());
      });
      const own: unknown[] = [];
      here.cache.bus.on("agentCreated", (event) => own.push(event));
      const event = { type: "agentCreated", agentId: "ada" } as const;
      await here.cache.bus.emit(event);
      await until(() => heard.length > 2);
      expect(heard).toEqual([event, undefined, before + 1]);
      expect(own).toEqual([event]);
      expect(there.cache.stats().invalidations).toBe(0);
    });

    test("an event without a rule, or of a cache of another name, invalidates nothing; only the first is heard", async () => {
      const server = await serverOf();
      const here = await cacheOn(server);
      const there = await cacheOn(server);
      const other = await cacheOn(server, { name: "other" });
      const heard: string[] = [];
      there.cache.bus.on("taskCompleted", () => heard.push("there"));
      other.cache.bus.on("taskCompleted", () => heard.push("other"));
      other.cache.bus.on("swarmScaled", () => heard.push("own"));
      await here.cache.bus.emit({ type: "taskCompleted", taskId: "1" });
      await until(() => heard.length > 0);
      await other.cache.bus.emit({ type: "swarmScaled", swarmId: "1" });
      expect(heard).toEqual(["there", "own"]);
    });

    test("rejects an invalidation that Redis has no memory for, and reads past it until there is", async () => {
      const server = await serverOf({ args: ["--maxmemory-policy", "noeviction"] });
      const commands = await commandsOf(server);
      const { cache } = await cacheOn(server);
      const { compute } = counter();
      const read = (): Promise<number> => cache.getOrSet("a", compute, { tags: ["x"] });
      expect(await read()).toBe(1);
      expect(await read()).toBe(1);
      await commands("CONFIG", "SET", "maxmemory", "1");
      await expect(cache.invalidateByTags(["x"])).rejects.toMatchObject({
        code: "CACHE_INVALIDATION",
      });
      expect(await read()).toBe(2);
      expect(await read()).toBe(3);
      await commands("CONFIG", "SET", "maxmemory", "0");
      expect(await read()).toBe(4);
      expect(await read()).toBe(4);
    });

    test("computes while Redis is away, and nothing waits for longer than it may", async () => {
      const server = await serverOf();
      const { cache } = await cacheOn(server, { storeTimeoutMs: 200 });
      const { compute } = counter();
      const read = (): Promise<number> => cache.getOrSet("a", compute);
      expect(await read()).toBe(1);
      server.pause(true);
      expect(await read()).toBe(2);
      expect(await outcome(cache.invalidateByTags(["x"]))).toContain("not durable");
      server.pause(false);
      await server.kill();
      expect(await read()).toBe(3);
      await server.start();
      await until(async () => (await read()) === (await read()));
    });

    test("shows what the question who answers costs a read", async () => {
      const { store } = await readyStore(await serverOf());
      const cache = new EventCache({ store });
      onTestFinished(() => cache.close());
      const read = (): Promise<unknown> => cache.getOrSet("a", () => 1, { tags: ["x", "y"] });
      const round = async (readers: number): Promise<number> => {
        const begin = performance.now();
        for (let count = 0; count < 40; count++)
          await Promise.all(Array.from({ length: readers }, read));
        return performance.now() - begin;
      };
      const sendVouched: unknown = Reflect.get(RedisConnection.prototype, "sendVouched");
      onTestFinished(() => void Object.assign(RedisConnection.prototype, { sendVouched }));
      for (const readers of [1, 16]) {
        const ratios: number[] = [];
        for (let turn = 0; turn < 60; turn++) {
          const times: [number, number] = [0, 0];
          for (const asks of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
            const used = asks === 1 ? sendVouched : sendAlone;
            Object.assign(RedisConnection.prototype, { sendVouched: used });
            times[asks] = await round(readers);
          }
          ratios.push(times[1] / times[0]);
        }
        const sorted = ratios.slice(10).toSorted((one, other) => one - other);
        const at = (share: number): string =>
          (sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(2);
        process.stdout.write(
          `${readers} strict reads at once, time with the question against without: median ${at(0.5)}, 10 % ${at(0.1)}, 90 % ${at(0.9)}\n`,
        );
      }
      expect(cache.stats().hits).toBeGreaterThan(40 * 60);
    });

    test("shows how long a move takes to reach another process's mirror", async () => {
      const server = await serverOf();
      const [here, there] = await Promise.all([readyStore(server), readyStore(server)]);
      const { mirror } = there.store;
      const delaysMs: number[] = [];
      for (let count = 0; count < 300; count++) {
        const version = mirror.version();
        const begin = performance.now();
        const moving = move(here.store, "app:f:t:x");
        while (mirror.version() === version) await new Promise(setImmediate);
        delaysMs.push(performance.now() - begin);
        await moving;
      }
      const sorted = delaysMs.toSorted((one, other) => one - other);
      const at = (share: number): string =>
        (sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(2);
      process.stdout.write(
        `from the call of a move to its push, ms: median ${at(0.5)}, 99 % ${at(0.99)}, most ${at(0.999)}\n`,
      );
      expect(mirror.version()).toBe(300);
    });
  },
);

function sendAlone(this: RedisConnection, args: string[]): Promise<unknown> {
  return this.send(args);
}
