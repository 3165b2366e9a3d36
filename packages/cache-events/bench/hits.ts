// What does a hit cost, against a Map and against other caches? Entries have two tags where a cache has tags.
import { closeAll, createCaches } from "./caches.ts";
import { compare } from "./measure.ts";
import { report } from "./report.ts";

const entries = 1_000;
const keys = Array.from({ length: entries }, (_, index) => `user:${index}`);
const map = new Map(keys.map((key) => [key, { key }]));
let computed = 0;
const caches = createCaches({
  maxEntries: 2 * entries,
  compute: async (key) => {
    computed++;
    return { key };
  },
});
for (const cache of caches) for (const key of keys) await cache.read(key);
const computedBefore = computed;

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

const peeks = caches.flatMap(({ name, tags, peek }) => {
  const readable = name.replace("getOrSet", "peek").replace("fetch", "get");
  return peek === undefined ? [] : [{ name: readable, run: sync(peek), about: { tags } }];
});
const peek = await compare(
  [{ name: "Map.get", run: sync((key) => map.get(key)), about: { tags: false } }, ...peeks],
  { operations: entries },
);
const reads = caches.map(({ name, tags, read }) => ({
  name,
  run: awaited(read),
  about: { tags },
}));
const getOrSet = await compare(
  [
    { name: "await Map.get", run: awaited((key) => map.get(key)), about: { tags: false } },
    ...reads,
  ],
  { operations: entries },
);
if (found === 0 || computed > computedBefore) throw new Error("not every read was a hit");
report([
  { title: "A synchronous hit; ratio: share of the speed of Map.get", rows: peek },
  { title: "A hit that is awaited; ratio: share of the speed of await Map.get", rows: getOrSet },
]);
await closeAll(caches);
