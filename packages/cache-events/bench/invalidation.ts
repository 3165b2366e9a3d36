// Does invalidating a tag cost more when more entries have it?
import type { Cache, CacheOptions } from "./caches.ts";
import { bento, closeAll, cacheableWithTags, dedupe, eventCache } from "./caches.ts";
import { median, spread, tidy } from "./measure.ts";
import { report } from "./report.ts";

interface Candidate {
  readonly create: (options: CacheOptions) => Cache;
  /** Entries with the tag in the fuller cache. */
  readonly many: number;
  /** In one round. */
  readonly calls: number;
  readonly rounds: number;
  /** Invalidating removes the entries, so that they have to be filled in before each call. */
  readonly removes: boolean;
}

const candidates: readonly Candidate[] = [
  { create: eventCache, many: 1_000_000, rounds: 101, calls: 500, removes: false },
  { create: bento, many: 10_000, rounds: 41, calls: 20, removes: false },
  { create: cacheableWithTags, many: 10_000, rounds: 41, calls: 20, removes: false },
  { create: dedupe, many: 1_000, rounds: 5, calls: 1, removes: true },
];

const rows: Record<string, boolean | number | string>[] = [];
for (const candidate of candidates) rows.push(await measure(candidate));
report([
  {
    title: "Invalidating one tag; ratio: time with many entries over time with one",
    rows,
    notes: [
      "Each round measures both caches; a tenth of the rounds is below low, and a tenth above high.",
    ],
  },
]);

async function compute(key: string): Promise<unknown> {
  return { key };
}

async function measure({
  create,
  many,
  calls,
  rounds,
  removes,
}: Candidate): Promise<Record<string, boolean | number | string>> {
  const one = create({ maxEntries: 2 * many, compute });
  const full = create({ maxEntries: 2 * many, compute });
  await fill(one, 1);
  await fill(full, many);
  const [ofOne, ofMany]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ofOne.push(await timeOf(one, calls, removes ? 1 : 0));
    ofMany.push(await timeOf(full, calls, removes ? many : 0));
  }
  await closeAll([one, full]);
  return {
    name: one.name.split(/[ .]/)[0] ?? "",
    entries: many,
    "ns, 1 entry": tidy(1e6 * median(ofOne)),
    "ns, many": tidy(1e6 * median(ofMany)),
    ...spread(ofMany.map((time, round) => time / (ofOne[round] ?? Number.NaN))),
  };
}

/** Milliseconds of one call, after filling in entries. */
async function timeOf(cache: Cache, calls: number, entries: number): Promise<number> {
  await fill(cache, entries);
  const start = performance.now();
  for (let call = 0; call < calls; call++) await cache.invalidateTag?.();
  return (performance.now() - start) / calls;
}

async function fill(cache: Cache, entries: number): Promise<void> {
  for (let index = 0; index < entries; index++) await cache.read(`user:${index}`);
}
