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
import { ShadowCache, toolCallOf } from "./shadow-cache.ts";

export interface CacheFeature extends Feature {
  readonly around: ToolMiddleware;
  clear(selection: CacheSelection): Promise<void>;
}

/** Results of read tools, kept until an event of this process or a change by another one makes them wrong. */
export function cacheFeature(
  config: Config,
  tools: readonly Tool[],
  {
    store,
    events,
    onMismatch = () => {},
  }: {
    readonly store: SwarmStore;
    readonly events: SwarmEvents;
    /** Hears the tool's name when a shadow cache would have served what is no longer true. */
    readonly onMismatch?: (tool: string) => void;
  },
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
  const shadow =
    config["features.cache"] === "shadow"
      ? new ShadowCache(toolCache, { store, events, onMismatch })
      : undefined;
  const subscription = events.subscribe((event) => cache.bus.emit(event));
  return {
    around: shadow?.around ?? ((call, next) => toolCache.call<ToolResult>(toolCallOf(call), next)),
    clear: ({ tags }) => (tags === undefined ? cache.clear() : cache.invalidateByTags(tags)),
    stats: () =>
      shadow === undefined ? cache.stats() : { ...cache.stats(), shadow: shadow.stats() },
    collectables: [cache],
    free: () => cache.clear(),
    [Symbol.asyncDispose]: async () => {
      subscription[Symbol.dispose]();
      shadow?.[Symbol.dispose]();
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
