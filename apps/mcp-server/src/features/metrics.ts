import { Metrics } from "@mcp-accel/metrics";
import { measure } from "@mcp-accel/metrics/mcp";
import type { ToolMiddleware } from "../host/tool-runtime.ts";
import type { Tool } from "../tools/tool.ts";
import type { Feature } from "./feature.ts";

export interface MetricsFeature extends Feature {
  readonly observe: ToolMiddleware;
  exposition(
    accept: string | undefined,
  ): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Durations and errors of every call, and the counters of the other features. */
export function metricsFeature(
  tools: readonly Tool[],
  features: readonly Feature[],
): MetricsFeature {
  const metrics = new Metrics();
  metrics.operations.know(tools.map(({ name }) => name));
  for (const { name, tier } of tools) metrics.operations.setTier(name, tier);
  for (const { collectables } of features)
    for (const component of collectables)
      metrics.collect(component as Parameters<Metrics["collect"]>[0]);
  return {
    observe: ({ tool, context }, next) => {
      const { transport, protocolVersion } = context;
      const call = { method: "tools/call", tool: tool.name, transport };
      return measure(
        metrics,
        protocolVersion === undefined ? call : { ...call, protocolVersion },
        next,
      );
    },
    exposition: (accept) => metrics.exposition(accept),
    stats: () => ({}),
    collectables: [],
    [Symbol.asyncDispose]: async () => metrics.close(),
  };
}
