export { cacheTools } from "./cache-tools.ts";
export { ToolCache } from "./tool-cache.ts";
export type { CacheToolsOptions } from "./cache-tools.ts";
export type { ToolCachePolicy } from "./tool-policy.ts";
export type { ToolCacheOptions, ToolCacheStore, ToolCall, ToolRun } from "./tool-cache.ts";
