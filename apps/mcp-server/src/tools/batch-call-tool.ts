import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import { BatchRoom, fitOutcomes, type CallOutcome } from "./batch-room.ts";
import { publicErrorShape } from "./public-error.ts";
import type { Services } from "./services.ts";
import { defineTool, destructive, tellProgress, type Tool, type ToolContext } from "./tool.ts";

const MAX_CALLS = 100;
const NAME = "batch_call";

/** `tools` are those that it may call. */
export function batchCallTool(
  { bulk, callTool, maxResultBytes }: Services,
  tools: readonly Tool[],
): Tool {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  const heedsRoom = (name: string): boolean => byName.get(name)?.heedsRoom === true;
  return defineTool({
    name: NAME,
    title: "Call many tools",
    description: `Runs up to ${MAX_CALLS} tool calls with one request, several at a time and in no promised order, and returns one outcome per call in the order given. A call that fails does not hinder the others.`,
    input: z.strictObject({
      calls: z
        .array(
          z.strictObject({
            name: z.string().min(1).max(200).describe("The tool's name"),
            arguments: z.record(z.string(), z.unknown()).default({}),
          }),
        )
        .min(1)
        .max(MAX_CALLS),
    }),
    output: z.object({
      succeeded: z.number(),
      failed: z.number(),
      results: z.array(
        z.object({
          ok: z.boolean(),
          result: z.record(z.string(), z.unknown()).optional(),
          error: publicErrorShape.optional(),
        }),
      ),
    }),
    annotations: destructive,
    tier: "slow",
    run: async ({ calls }, context) => {
      const sharing = calls.filter(({ name }) => heedsRoom(name)).length;
      const room = new BatchRoom(maxResultBytes, calls.length, sharing);
      const run = async (name: string, args: unknown, quiet: ToolContext): Promise<object> => {
        if (name === NAME) throw nestedBatch();
        if (!heedsRoom(name)) return callTool(name, args, quiet);
        return room.within((share) => callTool(name, args, { ...quiet, maxResultBytes: share }));
      };
      const settled = await bulk.runAll(
        calls.map(
          ({ name, arguments: args }) =>
            (signal) =>
              run(name, args, {
                ...context,
                signal,
                wantsProgress: false,
                progress: async () => {},
              }),
        ),
        {
          signal: context.signal,
          onProgress: tellProgress(context),
        },
      );
      const outcomes = settled.map((outcome, index): CallOutcome => ({
        outcome,
        tool: byName.get(calls[index]?.name ?? ""),
      }));
      const results = fitOutcomes(outcomes, maxResultBytes);
      const succeeded = results.filter(({ ok }) => ok).length;
      return { succeeded, failed: results.length - succeeded, results };
    },
  });
}

/** A batch inside a batch would multiply what one request may cause. */
function nestedBatch(): McpAccelError {
  return new McpAccelError(
    "NESTED_BATCH_CALL",
    "batch_call cannot be called by batch_call. Put its calls into the outer one.",
  );
}
