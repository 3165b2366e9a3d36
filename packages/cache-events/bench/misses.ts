// What does a cache add to a compute? A trivial compute: first reads, reading again what was invalidated, and 100 readers of one key.
import { closeAll, createCaches } from "./caches.ts";
import type { Cache } from "./caches.ts";
import type { Measured, Subject } from "./measure.ts";
import { compare } from "./measure.ts";
import { report } from "./report.ts";

const batch = 100;
const readers = 100;
const maxEntries = 1_000;

let computed = 0;
const caches = createCaches({
  maxEntries,
  compute: async (key) => {
    computed++;
    return { key };
  },
});
const fresh = keySource();
const known = Array.from({ length: batch }, (_, index) => `known:${index}`);

const loads = await measure(batch, caches, (cache) => async () => {
  for (let index = 0; index < batch; index++) await cache.read(fresh());
});
const reloads = await measure(
  batch,
  caches.filter(({ invalidateTag }) => invalidateTag !== undefined),
  (cache) => async () => {
    const before = computed;
    await cache.invalidateTag?.();
    for (const key of known) await cache.read(key);
    if (computed - before !== batch) throw new Error(`${cache.name} did not invalidate`);
  },
);
const keyReloads = await measure(batch, caches, (cache) => async () => {
  for (const key of known) {
    await cache.invalidateKey(key);
    await cache.read(key);
  }
});
const shared = await measure(readers, caches, (cache) => async () => {
  const key = fresh();
  await Promise.all(Array.from({ length: readers }, () => cache.read(key)));
});
const computesOf100: number[] = [];
for (const cache of caches) computesOf100.push(await computesFor(cache));

const ratio = "ratio: speed against EventCache";
report([
  { title: `A first read, with the compute; ${ratio}`, rows: loads },
  { title: `Reading again after the tag was invalidated; ${ratio}`, rows: reloads },
  { title: `Invalidating one key and reading it again; ${ratio}`, rows: keyReloads },
  {
    title: `${readers} concurrent readers of one absent key, per reader; ${ratio}`,
    rows: shared.map((row, index) => ({ ...row, computes: computesOf100[index] ?? 0 })),
  },
]);
await closeAll(caches);

function measure(
  operations: number,
  measured: readonly Cache[],
  run: (cache: Cache) => Subject["run"],
): Promise<Measured[]> {
  const subjects = measured.map((cache) => ({
    name: cache.name,
    run: run(cache),
    about: { tags: cache.tags, shares: cache.shares },
  }));
  return compare(subjects, { operations, roundMs: 25 });
}

/** How often 100 concurrent reads compute. */
async function computesFor(cache: Cache): Promise<number> {
  const before = computed;
  const key = fresh();
  await Promise.all(Array.from({ length: readers }, () => cache.read(key)));
  return computed - before;
}

/** Keys that none of the caches has seen. */
function keySource(): () => string {
  let count = 0;
  return () => `user:${count++}`;
}
