import { z } from "zod";
import { McpAccelError } from "../errors.ts";
import { publicError, type PublicError } from "./public-error.ts";
import type { Services } from "./services.ts";
import { defineTool, destructive, tellProgress, type Tool } from "./tool.ts";

const MAX_CALLS = 100;
/** An outcome whose result is left out takes less than this. */
const BYTES_LEFT_OUT = 200;
const NAME = "batch_call";

export function batchCallTool({ bulk, callTool, maxResultBytes }: Services): Tool {
  return defineTool({
    name: NAME,
    title: "Call many tools",
    description: `Runs up to ${MAX_CALLS} tool calls with one request, several at a time and in no promised order, and returns one outcome per call in the order given. A call that fails does not hinder the others.`,
    input: z.strictObject({
      calls: z
        .array(
          z.object({
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
          error: z.object({ code: z.string(), message: z.string() }).optional(),
        }),
      ),
    }),
    annotations: destructive,
    tier: "slow",
    run: async ({ calls }, context) => {
      const outcomes = await bulk.runAll(
        calls.map(({ name, arguments: args }) => async (signal) => {
          if (name === NAME) throw nestedBatch();
          const quiet = { ...context, signal, wantsProgress: false, progress: async () => {} };
          return callTool(name, args, quiet);
        }),
        {
          signal: context.signal,
          onProgress: tellProgress(context),
        },
      );
      const results = fit(outcomes.map(toOutcome), maxResultBytes);
      const succeeded = results.filter(({ ok }) => ok).length;
      return { succeeded, failed: results.length - succeeded, results };
    },
  });
}

type Outcome = { ok: boolean; result?: Record<string, unknown>; error?: PublicError };

function toOutcome(outcome: PromiseSettledResult<object>): Outcome {
  if (outcome.status === "rejected") return { ok: false, error: publicError(outcome.reason) };
  const result = outcome.value as Record<string, unknown>;
  return { ok: result["isError"] !== true, result };
}

/** Keeps the outcome of every call; a result for which there is no more room is left out, and said to be. */
function fit(outcomes: readonly Outcome[], maxBytes: number): Outcome[] {
  let room = maxBytes - outcomes.length * BYTES_LEFT_OUT;
  return outcomes.map((outcome) => {
    const bytes = Buffer.byteLength(JSON.stringify(outcome));
    if (bytes > room) return { ok: outcome.ok, error: resultLeftOut };
    room -= bytes;
    return outcome;
  });
}

const resultLeftOut: PublicError = {
  code: "RESULT_TOO_LARGE",
  message:
    "The call was run, but its result does not fit into this answer. Ask for less in one request.",
};

/** A batch inside a batch would multiply what one request may cause. */
function nestedBatch(): McpAccelError {
  return new McpAccelError(
    "NESTED_BATCH_CALL",
    "batch_call cannot be called by batch_call. Put its calls into the outer one.",
  );
}
