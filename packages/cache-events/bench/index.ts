// What does a hit cost with two tags, against a Map, and against other caches?
import { EventCache } from "@mcp-accel/cache-events";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { Cacheable } from "cacheable";
import { LRUCache } from "lru-cache";
import { Bench } from "tinybench";

const rounds = 9;
const roundMs = 60;
const entries = 1_000;
const batch = 1_000;

interface Contender {
  readonly name: string;
  readonly tags: boolean;
  readonly run: () => unknown;
}

interface Comparison {
  readonly name: string;
  readonly tags: boolean;
  /** Time of one hit. */
  readonly nanoseconds: number;
  /** Hits a second against the first contender, median over the rounds. */
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}

const ttlMs = 600_000;
const keys = Array.from({ length: entries }, (_, index) => `user:${index}`);
const map = new Map(keys.map((key) => [key, { key }]));
const lru = new LRUCache<string, object>({ max: 2 * entries, ttl: ttlMs });
const cache = new EventCache({ maxEntries: 2 * entries, ttlMs });
const bento = new BentoCache({
  default: "memory",
  stores: {
    memory: bentostore().useL1Layer(memoryDriver({ maxItems: 2 * entries, serialize: false })),
  },
});
const cacheable = new Cacheable({ ttl: ttlMs });

for (const [index, key] of keys.entries()) {
  const value = { key };
  const tags = ["users", `group:${index % 10}`];
  lru.set(key, value);
  await cache.set(key, value, { tags });
  await bento.set({ key, value, tags, ttl: ttlMs });
  await cacheable.set(key, value);
}

let found = 0;
const see = (value: unknown): void => {
  if (value !== undefined) found++;
};
const sync = (read: (key: string) => unknown) => (): void => {
  for (const key of keys) see(read(key));
};
const awaited = (read: (key: string) => unknown) => async (): Promise<void> => {
  for (const key of keys) see(await read(key));
};
const compute = (): object => ({});
const options = { tags: ["users", "group:1"] };

const peek = await compare([
  { name: "Map.get", tags: false, run: sync((key) => map.get(key)) },
  { name: "EventCache.peek", tags: true, run: sync((key) => cache.peek(key)) },
  { name: "lru-cache get, with ttl", tags: false, run: sync((key) => lru.get(key)) },
]);

const getOrSet = await compare([
  { name: "await Map.get", tags: false, run: awaited((key) => map.get(key)) },
  {
    name: "EventCache.getOrSet",
    tags: true,
    run: awaited((key) => cache.getOrSet(key, compute, options)),
  },
  { name: "lru-cache, await get", tags: false, run: awaited((key) => lru.get(key)) },
  {
    name: "bentocache getOrSet",
    tags: true,
    run: awaited((key) =>
      bento.getOrSet({ key, factory: compute, tags: options.tags, ttl: ttlMs }),
    ),
  },
  {
    name: "cacheable getOrSet",
    tags: false,
    run: awaited((key) => cacheable.getOrSet(key, async () => compute())),
  },
]);

if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ node: process.version, rounds, entries, peek, getOrSet }));
} else {
  console.log(`Node ${process.version}, ${entries} entries, ${rounds} interleaved rounds`);
  console.log("\nA synchronous hit, as a share of the speed of Map.get:");
  console.table(peek);
  console.log("\nA hit that is awaited, as a share of the speed of await Map.get:");
  console.table(getOrSet);
}
if (found === 0 || cache.stats().misses > 0) throw new Error("not every read was a hit");
await Promise.all([cache.close(), bento.disconnectAll()]);

async function compare(contenders: readonly Contender[]): Promise<Comparison[]> {
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { name, run }] of contenders.entries()) {
      const bench = new Bench({ time: roundMs, warmupTime: round === 0 ? roundMs : 10 });
      bench.add(name, run);
      const [task] = await bench.run();
      const result = task?.result;
      if (result?.state !== "completed") throw new Error(`${name} did not complete`);
      times[index]?.push((result.latency.p50 * 1e6) / batch);
    }
  }
  return contenders.map(({ name, tags }, index) => {
    const own = times[index] ?? [];
    const ratios = own.map((time, round) => (times[0]?.[round] ?? 0) / time);
    const sorted = ratios.toSorted((a, b) => a - b);
    return {
      name,
      tags,
      nanoseconds: round2(median(own)),
      ratio: round2(median(ratios)),
      least: round2(sorted[0] ?? 0),
      most: round2(sorted.at(-1) ?? 0),
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function round2(value: number): number {
  return value >= 0.1 ? Math.round(value * 100) / 100 : Math.round(value * 10_000) / 10_000;
}
