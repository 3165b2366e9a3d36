export { cacheResults } from "./cache-results.ts";
export { cacheTools } from "./cache-tools.ts";
export { notifyChanges } from "./notify-changes.ts";
export { responseCacheStore } from "./response-cache-store.ts";
export { ToolCache } from "./tool-cache.ts";
export type { CacheResultsOptions, ResultCacheStore } from "./cache-results.ts";
export type { CacheToolsOptions } from "./cache-tools.ts";
export type { ListKind } from "./mcp-changes.ts";
export type { ChangeTargets, NotifyChangesOptions, NotifyingCache } from "./notify-changes.ts";
export type {
  ResponseCacheBackend,
  ResponseCacheEntry,
  ResponseCacheKey,
  ResponseCacheStore,
  ResponseCacheStoreOptions,
} from "./response-cache-store.ts";
export type { CacheableMethod, ResultPolicy } from "./result-policy.ts";
export type { ToolCachePolicy } from "./tool-policy.ts";
export type { ToolCacheOptions, ToolCacheStore, ToolCall, ToolRun } from "./tool-cache.ts";
