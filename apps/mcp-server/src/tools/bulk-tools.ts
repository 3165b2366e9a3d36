import { z } from "zod";
import { publicError, publicErrorShape, type PublicError } from "./public-error.ts";
import { jsonBytes, resultTooLarge } from "./result-room.ts";
import { newTask } from "./schemas.ts";
import type { Services } from "./services.ts";
import { additive, defineTool, tellProgress, type Tool } from "./tool.ts";

const NAME = "assign_tasks";
/** An outcome takes less than this as JSON: two ids, or a code without its message. */
const OUTCOME_BYTES = 128;
/** What the result has beside the outcomes. */
const COUNTS_BYTES = 128;

export function bulkTools({ bulk, maxResultBytes }: Services): readonly Tool[] {
  return [
    defineTool({
      name: NAME,
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
              z.object({ ok: z.literal(false), error: publicErrorShape }),
            ]),
          )
          .describe("One outcome per task, in the order given"),
      }),
      annotations: additive,
      tier: "slow",
      heedsRoom: true,
      run: async ({ tasks }, context) => {
        const maxBytes = context.maxResultBytes ?? maxResultBytes;
        ensureRoom(tasks.length, maxBytes);
        const outcomes = await bulk.assignAll(tasks, {
          signal: context.signal,
          onProgress: tellProgress(context),
        });
        const assigned = outcomes.filter((outcome) => outcome.status === "fulfilled");
        return {
          assigned: assigned.length,
          failed: outcomes.length - assigned.length,
          results: fit(
            outcomes.map((outcome) =>
              outcome.status === "fulfilled"
                ? { ok: true, taskId: outcome.value.id, agentId: outcome.value.agentId }
                : { ok: false, error: publicError(outcome.reason) },
            ),
            maxBytes,
          ),
        };
      },
    }),
  ];
}

type Outcome = { ok: true; taskId: string; agentId: string } | { ok: false; error: PublicError };

/** Every task's outcome must have its place before the first task is stored. */
function ensureRoom(tasks: number, maxBytes: number): void {
  const most = Math.floor((maxBytes - COUNTS_BYTES) / OUTCOME_BYTES);
  if (tasks <= most) return;
  const advice =
    most > 0 ? `Send at most ${most} tasks at once` : "Send them in a request of their own";
  const size = `up to ${COUNTS_BYTES + tasks * OUTCOME_BYTES} bytes`;
  throw resultTooLarge(NAME, size, maxBytes, advice);
}

/** Keeps every id and every code; a message for which there is no more room is left out. */
function fit(outcomes: readonly Outcome[], maxBytes: number): Outcome[] {
  let room = maxBytes - COUNTS_BYTES - outcomes.length * OUTCOME_BYTES;
  return outcomes.map((outcome) => {
    const extra = jsonBytes(outcome) + 1 - OUTCOME_BYTES;
    if (extra <= 0) return outcome;
    if (extra > room && !outcome.ok) return withoutMessage(outcome.error);
    room -= extra;
    return outcome;
  });
}

function withoutMessage({ code, retryAfterMs }: PublicError): Outcome {
  const error = { code, message: "" };
  return { ok: false, error: retryAfterMs === undefined ? error : { ...error, retryAfterMs } };
}
