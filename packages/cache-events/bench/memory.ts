// How many bytes of heap does an entry take, besides its key and its value? Run with --expose-gc.
import { EventCache } from "@mcp-accel/cache-events";
import { LRUCache } from "lru-cache";
import { report } from "./report.ts";

const entries = 100_000;
const ttlMs = 600_000;
const tags = ["users", "group:1"];
if (globalThis.gc === undefined) throw new Error("run node with --expose-gc");

type Put = (key: string, value: object) => unknown;

const keys = Array.from({ length: entries }, (_, index) => `user:${index}`);
const values = keys.map((key) => ({ key }));

const subjects: readonly (readonly [string, (maxEntries: number) => Put])[] = [
  ["Map", mapPut],
  ["lru-cache with ttl", (max) => lruPut(max, ttlMs)],
  ["EventCache without tags", (maxEntries) => cachePut(maxEntries, [])],
  ["EventCache with 2 tags", (maxEntries) => cachePut(maxEntries, tags)],
];
const rows: Record<string, number | string>[] = [];
for (const [name, create] of subjects) {
  rows.push({
    name,
    "bytes an entry": await bytesAnEntry(create, entries),
    "after evicting as many": name === "Map" ? "" : await bytesAnEntry(create, entries / 2),
  });
}
report([
  {
    title: `Heap of ${entries.toLocaleString("en")} entries, without their keys and values`,
    rows,
    notes: ["After evicting as many as fit, what eviction remembers of them counts, too."],
  },
]);

async function bytesAnEntry(
  create: (maxEntries: number) => Put,
  maxEntries: number,
): Promise<number> {
  const before = heapBytes();
  const put = create(maxEntries);
  for (const [index, key] of keys.entries()) await put(key, values[index] ?? {});
  const used = heapBytes() - before;
  // Held until here, and no longer.
  await put("last", {});
  return Math.round(used / maxEntries);
}

function heapBytes(): number {
  for (let round = 0; round < 3; round++) globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function mapPut(): Put {
  const map = new Map<string, object>();
  return (key, value) => map.set(key, value);
}

function lruPut(max: number, ttl: number): Put {
  const cache = new LRUCache<string, object>({ max, ttl });
  return (key, value) => cache.set(key, value);
}

function cachePut(maxEntries: number, ownTags: readonly string[]): Put {
  const cache = new EventCache({ maxEntries, maxBytes: 2 ** 40, ttlMs });
  return (key, value) => cache.set(key, value, { tags: ownTags });
}
