import { Metrics } from "@mcp-accel/metrics";
import { measure } from "@mcp-accel/metrics/mcp";
import type { ToolMiddleware } from "../host/tool-runtime.ts";
import type { Tool } from "../tools/tool.ts";
import type { Collectable, Feature } from "./feature.ts";

export interface MetricsFeature extends Feature {
  readonly observe: ToolMiddleware;
  /** Reads the components of a feature in place of those of the one before it. */
  follow(before: readonly Collectable[], after: readonly Collectable[]): void;
  exposition(
    accept: string | undefined,
  ): Promise<{ readonly contentType: string; readonly body: string } | undefined>;
}

/** Durations and errors of every call, and the counters of the other features. */
export function metricsFeature(
  tools: readonly Tool[],
  features: readonly Feature[],
): MetricsFeature {
  const metrics = new Metrics();
  metrics.operations.know(tools.map(({ name }) => name));
  for (const { name, tier } of tools) metrics.operations.setTier(name, tier);
  const collections = new Map<Collectable, Disposable>();
  const follow: MetricsFeature["follow"] = (before, after) => {
    for (const component of before) {
      collections.get(component)?.[Symbol.dispose]();
      collections.delete(component);
    }
    for (const component of after)
      collections.set(component, metrics.collect(component as Parameters<Metrics["collect"]>[0]));
  };
  for (const { collectables } of features) follow([], collectables);
  return {
    observe: ({ tool, context }, next) => {
      const { transport, protocolVersion, signal } = context;
      const call = { method: "tools/call", tool: tool.name, transport, signal };
      return measure(
        metrics,
        protocolVersion === undefined ? call : { ...call, protocolVersion },
        next,
      );
    },
    follow,
    exposition: (accept) => metrics.exposition(accept),
    stats: () => ({}),
    collectables: [],
    [Symbol.asyncDispose]: async () => metrics.close(),
  };
}
