export interface Rival {
  readonly name: string;
  /** Of the module beside this one that opens it. */
  readonly module: string;
  /** Its packages, for their versions. */
  readonly packages: readonly string[];
}

const own = "@mcp-accel/cache-events";
const eventCache = { name: "EventCache", module: "event-cache", packages: [own] };

/** In one process, over memory. */
export const local: readonly Rival[] = [
  eventCache,
  { name: "bentocache, tags", module: "bentocache", packages: ["bentocache"] },
  { name: "cacheable, set with tags", module: "cacheable", packages: ["cacheable"] },
  {
    name: "cacheable, getOrSet and keys",
    module: "cacheable-get-or-set",
    packages: ["cacheable"],
  },
  { name: "cache-manager, wrap and keys", module: "cache-manager", packages: ["cache-manager"] },
  {
    name: "async-cache-dedupe, references",
    module: "async-cache-dedupe",
    packages: ["async-cache-dedupe"],
  },
  { name: "layered-loader, groups", module: "layered-loader", packages: ["layered-loader"] },
  { name: "lru-cache, fetch and keys", module: "lru-cache", packages: ["lru-cache"] },
  { name: "keyv, cache aside and keys", module: "keyv", packages: ["keyv"] },
];

/** In several processes, over one Redis. */
export const shared: readonly Rival[] = [
  { ...eventCache, name: "EventCache, any Keyv store", packages: [own, "@keyv/redis"] },
  {
    name: "EventCache, redisStore",
    module: "event-cache-redis",
    packages: [own, "@redis/client"],
  },
  {
    name: "bentocache, tags and bus",
    module: "bentocache",
    packages: ["bentocache", "ioredis"],
  },
  {
    name: "cacheable, set with tags",
    module: "cacheable",
    packages: ["cacheable", "@keyv/redis"],
  },
  {
    name: "async-cache-dedupe, references",
    module: "async-cache-dedupe",
    packages: ["async-cache-dedupe", "ioredis"],
  },
  {
    name: "layered-loader, groups and bus",
    module: "layered-loader",
    packages: ["layered-loader", "ioredis"],
  },
  {
    name: "keyv, cache aside and keys",
    module: "keyv",
    packages: ["keyv", "@keyv/redis"],
  },
];
