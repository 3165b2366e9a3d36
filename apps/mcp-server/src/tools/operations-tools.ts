import { z } from "zod";
import type { Services } from "./services.ts";
import { additive, defineTool, readOnly, type Tool } from "./tool.ts";

export function operationsTools({ operations }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "cache_clear",
      title: "Clear the cache",
      description:
        "Forgets cached results: those with one of the tags, or all of them. The next reads compute again.",
      input: z.strictObject({
        tags: z
          .array(z.string().min(1).max(200))
          .min(1)
          .max(100)
          .optional()
          .describe("For example agents, or task:<id>; everything when absent"),
      }),
      output: z.object({ cleared: z.union([z.literal("everything"), z.array(z.string())]) }),
      annotations: { ...additive, idempotentHint: true },
      tier: "fast",
      run: async ({ tags }) => {
        await operations.clearCache({ tags });
        return { cleared: tags ?? ("everything" as const) };
      },
    }),
    defineTool({
      name: "server_stats",
      title: "Statistics of the server",
      description:
        "Returns the counters of the cache, the connection pool, the stream guard, the batcher and the process.",
      input: z.strictObject({}),
      output: z.record(z.string(), z.unknown()),
      annotations: { ...readOnly, idempotentHint: false },
      tier: "fast",
      run: async () => operations.stats(),
    }),
  ];
}
