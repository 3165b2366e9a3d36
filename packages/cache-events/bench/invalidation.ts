// Does invalidating a tag cost more when more entries have it?
import type { Cache, CacheOptions } from "./caches.ts";
import { bento, cacheable, dedupe, eventCache } from "./caches.ts";
import { median, spread, tidy } from "./measure.ts";
import { report } from "./report.ts";

const calls = 1_000;

interface Candidate {
  readonly create: (options: CacheOptions) => Cache;
  /** Entries with the tag in the fuller cache. */
  readonly many: number;
  readonly rounds: number;
  /** Invalidating removes the entries, so that they have to be filled in before each call. */
  readonly removes: boolean;
}

const candidates: readonly Candidate[] = [
  { create: eventCache, many: 1_000_000, rounds: 15, removes: false },
  { create: bento, many: 10_000, rounds: 15, removes: false },
  { create: cacheable, many: 10_000, rounds: 15, removes: false },
  { create: dedupe, many: 1_000, rounds: 5, removes: true },
];

const rows: Record<string, boolean | number | string>[] = [];
for (const candidate of candidates) rows.push(await measure(candidate));
report([
  {
    title: "Invalidating one tag; ratio: time with many entries over time with one",
    rows,
    notes: ["Median, least and most of the rounds. Each round measures both caches."],
  },
]);

async function measure({
  create,
  many,
  rounds,
  removes,
}: Candidate): Promise<Record<string, boolean | number | string>> {
  const compute = async (key: string): Promise<unknown> => ({ key });
  const one = create({ maxEntries: 2 * many, compute });
  const full = create({ maxEntries: 2 * many, compute });
  await fill(one, 1);
  await fill(full, many);
  const [ofOne, ofMany]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ofOne.push(await timeOf(one, 1, removes));
    ofMany.push(await timeOf(full, many, removes));
  }
  await Promise.all([one.close?.(), full.close?.()]);
  return {
    name: one.name.split(/[ .]/)[0] ?? "",
    entries: many,
    "ns, 1 entry": tidy(1e6 * median(ofOne)),
    "ns, many": tidy(1e6 * median(ofMany)),
    ...spread(ofMany.map((time, round) => time / (ofOne[round] ?? Number.NaN))),
  };
}

async function timeOf(cache: Cache, entries: number, removes: boolean): Promise<number> {
  const repeats = removes ? 1 : calls;
  if (removes) await fill(cache, entries);
  const start = performance.now();
  for (let call = 0; call < repeats; call++) await cache.invalidateTag?.();
  return (performance.now() - start) / repeats;
}

async function fill(cache: Cache, entries: number): Promise<void> {
  for (let index = 0; index < entries; index++) await cache.read(`user:${index}`);
}
