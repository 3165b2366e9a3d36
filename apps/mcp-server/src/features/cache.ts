import { EventCache } from "@mcp-accel/cache-events";
import { ToolCache, type ToolCachePolicy } from "@mcp-accel/cache-events/mcp";
import type { Config } from "../config/options.ts";
import type { ToolMiddleware, ToolResult } from "../host/tool-runtime.ts";
import type { SwarmEvent, SwarmEvents } from "../swarm/events.ts";
import type { SwarmStore } from "../swarm/store.ts";
import type { CacheSelection } from "../tools/services.ts";
import type { Tool } from "../tools/tool.ts";
import { cacheRules } from "./cache-rules.ts";
import type { Feature } from "./feature.ts";

export interface CacheFeature extends Feature {
  readonly around: ToolMiddleware;
  clear(selection: CacheSelection): Promise<void>;
}

/** Results of read tools, kept until an event of this process or a change by another one makes them wrong. */
export function cacheFeature(
  config: Config,
  tools: readonly Tool[],
  { store, events }: { readonly store: SwarmStore; readonly events: SwarmEvents },
): CacheFeature {
  const cache = new EventCache<SwarmEvent>({
    name: "tools",
    ttlMs: config["cache.ttlMs"],
    maxEntries: config["cache.maxEntries"],
    maxBytes: config["cache.maxBytes"],
    rules: cacheRules,
    epoch: () => store.version(),
  });
  const toolCache = new ToolCache(cache, {
    server: "mcp-accel",
    tools: Object.fromEntries(tools.map((tool) => [tool.name, policyOf(tool)])),
  });
  const subscription = events.subscribe((event) => cache.bus.emit(event));
  return {
    around: ({ tool, args, context }, next) =>
      toolCache.call<ToolResult>(
        { name: tool.name, arguments: args, principal: context.principal, signal: context.signal },
        next,
      ),
    clear: ({ tags }) => (tags === undefined ? cache.clear() : cache.invalidateByTags(tags)),
    stats: () => cache.stats(),
    collectables: [cache],
    [Symbol.asyncDispose]: async () => {
      subscription[Symbol.dispose]();
      await cache.close();
    },
  };
}

/** A tool without tags is never cached, and none clears the cache by its call alone: the events do that. */
function policyOf({ cacheTags }: Tool): ToolCachePolicy {
  return cacheTags === undefined
    ? { readOnly: false, invalidates: [] }
    : { readOnly: true, tags: cacheTags };
}
