export { redisStore } from "./redis-store.ts";
export type { RedisClientLike } from "./redis-client.ts";
export type { RedisReport, RedisStore, RedisStoreOptions } from "./redis-store.ts";
