// How often does a read ask a store that several processes share, when it must not be stale?
import { EventCache } from "@mcp-accel/cache-events";
import type { CreateDriverResult, L2CacheDriver } from "bentocache/types";
import { BentoCache, bentostore } from "bentocache";
import { Cacheable, Keyv as CacheableKeyv } from "cacheable";
import { Keyv } from "keyv";
import { BentoDriver } from "./bento-driver.ts";
import { readThrough, tags } from "./caches.ts";
import { CountingStore } from "./counting-store.ts";
import { report } from "./report.ts";

interface Subject {
  readonly name: string;
  readonly store: CountingStore;
  readonly read: (key: string) => Promise<unknown>;
  readonly invalidate: () => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}

const key = "user:1";
const ttlMs = 600_000;
let computed = 0;
const compute = async (): Promise<object> => ({ computed: ++computed });

const rows: Record<string, number | string>[] = [];
for (const subject of [strict(), bentoOnStore(), cacheableOnStore()]) {
  const read = (): Promise<unknown> => subject.read(key);
  await subject.read("another of the same tags");
  rows.push({
    name: subject.name,
    ...(await count(subject, "first read", read)),
    ...(await count(subject, "hit", read)),
    ...(await count(subject, "invalidate", subject.invalidate)),
    ...(await count(subject, "read again", read)),
  });
  await subject.close();
  if (computed !== 3) throw new Error(`${subject.name} computed ${computed} times instead of 3`);
  computed = 0;
}
report([
  {
    title:
      "Calls of the store, and round trips: calls made in one turn of the event loop count as one trip",
    rows,
    notes: [
      "Two declared tags. None of the caches has a tier in memory: every read asks the store.",
    ],
  },
]);

async function count(
  { store }: Subject,
  what: string,
  act: () => Promise<unknown>,
): Promise<Record<string, string>> {
  const [calls, trips] = [store.calls, store.trips];
  await act();
  // What is written in the background belongs to it.
  await new Promise((resolve) => setTimeout(resolve, 20));
  return { [what]: `${store.calls - calls} calls, ${store.trips - trips} trips` };
}

function strict(): Subject {
  const store = new CountingStore();
  const cache = new EventCache({ store: new Keyv({ store }), ttlMs });
  return {
    name: "EventCache, strict",
    store,
    read: (name) => cache.getOrSet(name, compute, { tags }),
    invalidate: () => cache.invalidateByTags(["users"]),
    close: () => cache.close(),
  };
}

function cacheableOnStore(): Subject {
  const store = new CountingStore();
  const cache = new Cacheable({ primary: new CacheableKeyv({ store }), ttl: ttlMs, tags: true });
  return {
    name: "cacheable get, then set",
    store,
    read: (name) => readThrough(cache, name, compute),
    invalidate: () => cache.tags.invalidateTag("users"),
    close: () => cache.disconnect(),
  };
}

function bentoOnStore(): Subject {
  const store = new CountingStore();
  const driver: CreateDriverResult<L2CacheDriver> = {
    options: {},
    factory: () => new BentoDriver(store, ""),
  };
  const cache = new BentoCache({
    default: "shared",
    stores: { shared: bentostore().useL2Layer(driver) },
  });
  return {
    name: "bentocache",
    store,
    read: (name) => cache.getOrSet({ key: name, factory: compute, tags: [...tags], ttl: ttlMs }),
    invalidate: () => cache.deleteByTag({ tags: ["users"] }),
    close: () => cache.disconnectAll(),
  };
}
