import { z } from "zod";
import { newTask } from "./schemas.ts";
import type { Services } from "./services.ts";
import { additive, defineTool, tellProgress, type Tool } from "./tool.ts";
import { publicError } from "./public-error.ts";

export function bulkTools({ bulk }: Services): readonly Tool[] {
  return [
    defineTool({
      name: "assign_tasks",
      title: "Assign many tasks",
      description:
        "Creates and assigns up to 10,000 tasks. A task that cannot be assigned is reported in its place and does not hinder the others.",
      input: z.strictObject({ tasks: z.array(newTask).min(1).max(10_000) }),
      output: z.object({
        assigned: z.number(),
        failed: z.number(),
        results: z
          .array(
            z.union([
              z.object({ ok: z.literal(true), taskId: z.string(), agentId: z.string() }),
              z.object({
                ok: z.literal(false),
                error: z.object({ code: z.string(), message: z.string() }),
              }),
            ]),
          )
          .describe("One outcome per task, in the order given"),
      }),
      annotations: additive,
      tier: "slow",
      run: async ({ tasks }, context) => {
        const outcomes = await bulk.assignAll(tasks, {
          signal: context.signal,
          onProgress: tellProgress(context),
        });
        const assigned = outcomes.filter((outcome) => outcome.status === "fulfilled");
        return {
          assigned: assigned.length,
          failed: outcomes.length - assigned.length,
          results: outcomes.map((outcome) =>
            outcome.status === "fulfilled"
              ? { ok: true as const, taskId: outcome.value.id, agentId: outcome.value.agentId }
              : { ok: false as const, error: publicError(outcome.reason) },
          ),
        };
      },
    }),
  ];
}
