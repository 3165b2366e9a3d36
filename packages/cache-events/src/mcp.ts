export { cacheTools } from "./cache-tools.ts";
export { ToolCache } from "./tool-cache.ts";
export type { CacheToolsOptions } from "./cache-tools.ts";
export type {
  ToolCacheOptions,
  ToolCachePolicy,
  ToolCacheStore,
  ToolCall,
  ToolRun,
} from "./tool-cache.ts";
