// How long can one add take in a full cache all of whose entries have been read often, and how many entries does it look at?
import { LRUCache } from "lru-cache";
import { Entry, MemoryTier } from "../src/memory-tier.ts";
import { Space } from "../src/space.ts";
import { median, tidy } from "./measure.ts";
import { report } from "./report.ts";

const held = 200_000;
const adds = 50_000;

interface Subject {
  readonly name: string;
  readonly add: (key: string) => unknown;
  /** Entries looked at so far, where that can be told. */
  readonly examined?: () => number;
}

const keys = Array.from({ length: held + adds }, (_, index) => `user:${index}`);
report([
  {
    title: `Microseconds of one add where ${held.toLocaleString("en")} entries were all read three times`,
    rows: [lru(), tier()].map(measure),
    notes: [
      "The worst time includes collecting garbage and growing hash tables; looking at entries is what a policy can bound.",
    ],
  },
]);

function measure({ name, add, examined }: Subject): Record<string, number | string> {
  for (const key of keys.slice(0, held)) add(key);
  const times = new Float64Array(adds);
  let most = 0;
  for (const [index, key] of keys.slice(held).entries()) {
    const before = examined?.() ?? 0;
    const start = performance.now();
    add(key);
    times[index] = performance.now() - start;
    most = Math.max(most, (examined?.() ?? 0) - before);
  }
  const sorted = times.toSorted();
  return {
    name,
    median: tidy(1_000 * median([...times])),
    "99.9 %": tidy(1_000 * (sorted[Math.floor(0.999 * adds)] ?? Number.NaN)),
    worst: tidy(1_000 * (sorted.at(-1) ?? Number.NaN)),
    "most entries looked at": examined === undefined ? "" : most,
  };
}

function lru(): Subject {
  const cache = new LRUCache<string, string>({ max: held });
  return { name: "lru-cache", add: (key) => cache.set(key, key) };
}

function tier(): Subject {
  const space = new Space("");
  let examined = 0;
  const memory = new MemoryTier({
    maxEntries: held,
    maxBytes: Number.MAX_SAFE_INTEGER,
    isDead: () => ++examined < 0,
    evicted: (entry) => space.entries.delete(entry.key),
  });
  return {
    name: "cache-events, memory tier",
    examined: () => examined,
    add: (key) => {
      const entry = entryOf(space, key);
      memory.add(entry);
      entry.freq = 3;
      space.entries.set(key, entry);
    },
  };
}

function entryOf(space: Space, key: string): Entry {
  return new Entry({ space, key, value: key, born: 0, expiresAt: Infinity, tags: [], bytes: 1 });
}
