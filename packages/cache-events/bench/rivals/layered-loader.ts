import type {
  CacheUnderTest,
  ComputeUnderTest,
  OpenContext,
} from "@mcp-accel/cache-events/testing";
import { Redis } from "ioredis";
import { createGroupNotificationPair, GroupLoader, RedisGroupCache } from "layered-loader";
import { redisPortOf } from "./data.ts";
import { TagIndex } from "./tag-index.ts";

type Options = ConstructorParameters<typeof GroupLoader<object>>[0];

/** An entry is in the group of its first tag; those that have a tag as their second are deleted one by one. */
export async function open(context: OpenContext): Promise<CacheUnderTest> {
  const { name, ttlMs, entries, data } = context;
  const port = redisPortOf(data);
  const clients =
    port === undefined ? [] : [0, 1, 2].map(() => new Redis({ port, host: "127.0.0.1" }));
  const index = new TagIndex(entries);
  const computes = new Map<string, ComputeUnderTest>();
  const groupOf = (key: string): string => index.tagsOf(key)[0] ?? "untagged";
  const loader = new GroupLoader<object>({
    inMemoryCache: { ttlInMsecs: ttlMs, maxGroups: 100, maxItemsPerGroup: 100 },
    dataSources: [
      {
        name: "computes",
        getFromGroup: async (key: string) => (await computes.get(key)?.()) as object,
        getManyFromGroup: () => Promise.resolve([]),
      },
    ],
    // It would print every error of a compute.
    loadErrorHandler() {},
    ...shared(name, ttlMs, clients),
  });
  await loader.init();
  return {
    getOrSet(key, compute, { tags }) {
      index.learn(key, tags);
      computes.set(key, compute);
      return Promise.resolve(loader.get(key, groupOf(key)));
    },
    async invalidateByTags(tags) {
      const others = index.keysOf(tags).filter((key) => !tags.includes(groupOf(key)));
      await Promise.all([
        ...tags.map((tag) => loader.invalidateCacheForGroup(tag)),
        ...others.map((key) => loader.invalidateCacheFor(key, groupOf(key))),
      ]);
    },
    delete: (key) => loader.invalidateCacheFor(key, groupOf(key)),
    ...(port === undefined && { clear: () => loader.invalidateCache() }),
    async close() {
      await Promise.all(clients.map((client) => client.quit()));
    },
  };
}

function shared(name: string, ttlMs: number, clients: readonly Redis[]): Partial<Options> {
  const [redis, publisherRedis, consumerRedis] = clients;
  if (redis === undefined || publisherRedis === undefined || consumerRedis === undefined) return {};
  const { publisher, consumer } = createGroupNotificationPair<object>({
    channel: name,
    publisherRedis,
    consumerRedis,
  });
  return {
    asyncCache: new RedisGroupCache<object>(redis, { prefix: name, json: true, ttlInMsecs: ttlMs }),
    notificationPublisher: publisher,
    notificationConsumer: consumer,
  };
}
