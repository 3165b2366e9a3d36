import { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import type { FenceMirror, SharedStore } from "../src/index.ts";
import { EventCache, InvalidationError } from "../src/index.ts";
import { sqliteStore } from "../src/sqlite.ts";

// One of several processes that read and invalidate at the same time: `node sqlite-process.ts <folder> <rounds> <seed> <bug>`. What
// is true is in a database of its own, with the value that every reader who begins now must have reached. Prints what it counted.

const [folder = "", rounds = "0", seed = "1", bug = "none"] = process.argv.slice(2);
const tags = ["red", "green", "blue"] as const;

const truth = new DatabaseSync(`${folder}/truth.db`, { timeout: 5_000 });
truth.exec("PRAGMA synchronous = OFF");
const readValue = truth.prepare("SELECT value FROM truth WHERE tag = ?");
const readFloor = truth.prepare("SELECT floor FROM truth WHERE tag = ?");
const raiseValue = truth.prepare(
  "UPDATE truth SET value = value + 1 WHERE tag = ? RETURNING value",
);
const raiseFloor = truth.prepare("UPDATE truth SET floor = max(floor, ?) WHERE tag = ?");

const counted = { reads: 0, near: 0, hits: 0, writes: 0, unconfirmed: 0, stale: 0 };

let state = Number(seed);
/** Numerical Recipes' linear congruential generator. */
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

async function idle(turns: number): Promise<void> {
  for (let index = 0; index < turns; index++) await turn();
}

function numberOf(row: Record<string, unknown> | undefined): number {
  return Number(Object.values(row ?? {})[0]);
}

async function read(cache: EventCache, tag: string): Promise<void> {
  const floor = numberOf(readFloor.get(tag));
  const check = (value: number | undefined): void => {
    counted.reads++;
    if (value !== undefined && value < floor) counted.stale++;
  };
  const near = cache.peek<number>(tag);
  if (near !== undefined) counted.near++;
  check(near);
  const compute = async ({ tag: add }: { tag: (...names: string[]) => void }): Promise<number> => {
    const value = numberOf(readValue.get(tag));
    await idle(random(4));
    if (tag === "blue") add("blue");
    return value;
  };
  check(await cache.getOrSet(tag, compute, { tags: tag === "blue" ? [] : [tag] }));
}

async function write(cache: EventCache, tag: string): Promise<void> {
  const value = numberOf(raiseValue.get(tag));
  try {
    await cache.invalidateByTags([tag]);
    raiseFloor.run(value, tag);
    counted.writes++;
  } catch (error) {
    if (!(error instanceof InvalidationError)) throw error;
    counted.unconfirmed++;
  }
}

async function work(cache: EventCache): Promise<void> {
  for (let round = 0; round < Number(rounds); round++) {
    const tag = tags[random(tags.length)] ?? "red";
    if (random(10) === 0) await write(cache, tag);
    else await read(cache, tag);
    await idle(random(3));
  }
}

/** Bugs that the suite must be able to see. */
function planted(store: SharedStore): SharedStore {
  const { mirror } = store;
  if (mirror === undefined || bug === "none") return store;
  return { ...bound(store), mirror: bug === "no-data-version" ? frozen(mirror) : mirror };
}

/** Never looks at `data_version` again. */
function frozen(mirror: FenceMirror): FenceMirror {
  let version: number | undefined;
  return {
    strict: true,
    version: () => (version ??= mirror.version()),
    valueOf: (fence) => mirror.valueOf(fence),
  };
}

/** With "late-fences", an entry is written under the fences of when it is written. */
function bound(store: SharedStore): SharedStore {
  return {
    read: (keys) => store.read(keys),
    write: async (entries) =>
      store.write(bug === "late-fences" ? await renewed(store, entries) : entries),
    remove: (key) => store.remove(key),
    moveFences: (keys, options) => store.moveFences(keys, options),
  };
}

async function renewed<T extends { readonly value: string }>(
  store: SharedStore,
  entries: readonly T[],
): Promise<readonly T[]> {
  const renewing = entries.map(async (entry) => {
    const parsed = JSON.parse(entry.value) as { f: [string, string][] };
    const now = await store.read(parsed.f.map(([fence]) => fence));
    const f = parsed.f.map(([fence, value], index) => [fence, now[index] ?? value]);
    return { ...entry, value: JSON.stringify({ ...parsed, f }) };
  });
  return Promise.all(renewing);
}

const store = sqliteStore({ path: `${folder}/cache.db` });
const shared = planted(store);
const [one, other] = [new EventCache({ store: shared }), new EventCache({ store: shared })];
for (const cache of [one, other]) cache.on("hit", () => counted.hits++);
await Promise.all([work(one), work(one), work(other)]);
await store.close();
console.log(JSON.stringify(counted));
