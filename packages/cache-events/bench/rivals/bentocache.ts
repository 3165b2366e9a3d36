import type { CacheUnderTest, OpenContext } from "@mcp-accel/cache-events/testing";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { registerHooks } from "node:module";
import { redisPortOf } from "./data.ts";

/** Tags as in its documentation; with Redis a memory layer, Redis as second layer, and the bus between the processes. */
export async function open({ name, ttlMs, data }: OpenContext): Promise<CacheUnderTest> {
  const cache = new BentoCache({
    default: "main",
    ttl: ttlMs,
    prefix: name,
    stores: { main: await storeFor(redisPortOf(data)) },
  });
  return {
    getOrSet: (key, compute, { tags }) =>
      cache.getOrSet({ key, factory: () => compute(), tags: [...tags] }),
    invalidateByTags: (tags) => cache.deleteByTag({ tags: [...tags] }),
    delete: (key) => cache.delete({ key }),
    set: (key, value, { tags }) => cache.set({ key, value, tags: [...tags] }),
    get: (key) => cache.get({ key }),
    clear: () => cache.clear(),
    close: () => cache.disconnectAll(),
  };
}

async function storeFor(port: number | undefined): Promise<ReturnType<typeof bentostore>> {
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: 1_000 }));
  if (port === undefined) return store;
  resolveHere("ioredis");
  const { redisBusDriver, redisDriver } = await import("bentocache/drivers/redis");
  const connection = { host: "127.0.0.1", port };
  return store.useL2Layer(redisDriver({ connection })).useBus(redisBusDriver({ connection }));
}

/** Its peer dependency is installed beside this package, not beside it. */
function resolveHere(name: string): void {
  const url = import.meta.resolve(name);
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === name ? { url, shortCircuit: true } : next(specifier, context),
  });
}
